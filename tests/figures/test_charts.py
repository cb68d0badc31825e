"""What is drawn is what the numbers say."""

from __future__ import annotations

import pytest

from unified.figures.charts import HEIGHT, Columns, Series, colour, columns, share, tick_step


def drawn(chart: Columns) -> dict[tuple[int, str], float]:
    """The numbers that the bars stand for, by column and colour."""
    top = chart.ticks[0]
    return {(int(bar.x) // 10, bar.colour): float(bar.height) * top / HEIGHT for bar in chart.bars}


def test_bars_are_as_high_as_their_numbers_and_stand_on_one_another() -> None:
    chart = columns(
        ["Mon", "Tue", "Wed"], [Series("A", [3, 0, 7]), Series("B", [1, 0, 13])], noun=("credit", "credits")
    )

    assert (chart.width, chart.ticks, chart.labels) == (30, [20, 15, 10, 5, 0], ["Mon", "Tue", "Wed"])
    assert drawn(chart) == pytest.approx(
        {(0, "series-1"): 3, (0, "series-2"): 1, (2, "series-1"): 7, (2, "series-2"): 13}
    )
    for lower, upper in zip(chart.bars[::2], chart.bars[1::2], strict=True):
        assert float(lower.y) + float(lower.height) == pytest.approx(HEIGHT)
        assert float(upper.y) + float(upper.height) == pytest.approx(float(lower.y))
    assert [bar.title for bar in chart.bars[:2]] == ["Mon, A: 3 credits", "Mon, B: 1 credit"]


def test_nothing_is_a_chart_without_bars() -> None:
    for series in ([], [Series("A", [0, 0])]):
        chart = columns(["Mon", "Tue"], series, noun=("credit", "credits"))
        assert (chart.bars, chart.ticks) == ([], [1, 0])


def test_enormous_numbers_fit() -> None:
    chart = columns(["Mon"], [Series("A", [10**18])], noun=("credit", "credits"))

    assert float(chart.bars[0].height) <= HEIGHT
    assert len(chart.ticks) <= 5


@pytest.mark.parametrize(
    ("most", "step"),
    [(0, 1), (1, 1), (4, 1), (5, 2), (8, 2), (9, 5), (20, 5), (21, 10), (80, 20), (81, 50), (201, 100)],
)
def test_ticks_are_round_numbers(most: int, step: int) -> None:
    assert tick_step(most) == step


def test_there_are_four_colours_and_one_for_the_rest() -> None:
    assert [colour(place) for place in range(6)] == [*(f"series-{n}" for n in (1, 2, 3, 4)), *["series-rest"] * 2]


def test_a_share_is_of_a_hundred() -> None:
    assert [share(1, 3), share(3, 3), share(0, 3), share(0, 0)] == ["33.333", "100", "0", "0"]
