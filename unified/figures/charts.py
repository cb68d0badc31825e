"""
Charts as plain SVG, worked out here and drawn by templates of our own.

Not by a chart library: those write inline styles and scripts, which our content security policy refuses, and colours of
their own, which do not follow the theme. Here a bar is a rectangle with a class, and the style sheet knows its colour.

A chart is as wide as its place: what is drawn stretches, and the labels are text of the page beside it, which does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

HEIGHT = 100
STEP, BAR = 10, 8  # from one column to the next, and how much of it is filled
MOST_TICKS = 4
COLOURS = 4  # of the style sheet; what comes after them shares one


@dataclass(frozen=True, slots=True)
class Series:
    """One colour of a chart: a number for each column."""

    name: str
    values: Sequence[int]


@dataclass(frozen=True, slots=True)
class Bar:
    """A rectangle; the figures are text, as SVG has them."""

    x: str
    y: str
    width: str
    height: str
    colour: str
    title: str


@dataclass(frozen=True, slots=True)
class Columns:
    """Stacked columns, from the left, and the axes: ticks from the top down, a label at each end and in the middle."""

    width: int
    bars: list[Bar]
    ticks: list[int]
    lines: list[str]
    labels: list[str]
    height: int = HEIGHT


def columns(
    names: Sequence[str], series: Sequence[Series], *, noun: tuple[str, str], labels: Sequence[str] | None = None
) -> Columns:
    """
    A column for each of `names`, of `noun` ("credit", "credits"); `series` are stacked in their order. `labels`
    stand at the left end of the axis, in its middle and at the right, if the names do not.
    """
    totals = [sum(one.values[index] for one in series) for index in range(len(names))]
    step = tick_step(max(totals, default=0))
    ticks = list(range(0, max(totals, default=0) + step, step)) if any(totals) else [0, step]
    top = ticks[-1]
    bars = []
    for index, name in enumerate(names):
        below = 0
        for place, one in enumerate(series):
            value = one.values[index]
            if value:
                below += value
                what = f"{name}, {one.name}" if len(series) > 1 else name
                bars.append(
                    Bar(
                        x=str(index * STEP + (STEP - BAR) // 2),
                        y=_figure(HEIGHT * (top - below) / top),
                        width=str(BAR),
                        height=_figure(HEIGHT * value / top),
                        colour=colour(place),
                        title=f"{what}: {value:,} {noun[value != 1]}",
                    )
                )
    return Columns(
        width=STEP * len(names),
        bars=bars,
        ticks=ticks[::-1],
        lines=[_figure(HEIGHT * (top - tick) / top) for tick in ticks],
        labels=list(labels or (names[0], names[len(names) // 2], names[-1])),
    )


def tick_step(most: int) -> int:
    """The smallest of 1, 2, 5, 10, 20, 50 … that reaches `most` in four steps."""
    step = 1
    while step * MOST_TICKS < most:
        step = step * 5 // 2 if str(step)[0] == "2" else step * 2
    return step


def colour(place: int) -> str:
    """The class of the series at this place."""
    return f"series-{place + 1}" if place < COLOURS else "series-rest"


def share(part: int, whole: int) -> str:
    """How long a bar beside a number is, of 100."""
    return _figure(100 * part / whole) if whole else "0"


def _figure(number: float) -> str:
    return f"{number:.3f}".rstrip("0").rstrip(".")
