"""
How small the service keeps pictures, how like the originals, how fast, and how many fit: beside the usual encoders, in
the same run, on one core. Run by `make bench-images`; writes images.md, images.json and images.svg.

Likeness is SSIM (Wang, Bovik, Sheikh, Simoncelli: Image Quality Assessment, 2004) of the luma, with the paper's
Gaussian window, at the original's size, transparency over white. Times are medians of processor time; on a shared
machine only their ratios, taken in the same run, mean something.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
from PIL import Image, features  # noqa: E402
from skimage.metrics import structural_similarity  # noqa: E402

from workspace.images import keep  # noqa: E402

MEGABYTE = 1_048_576
KB = 1024
OURS = "Unified, empty workspace"
YARDSTICK = "WebP q80"


def pillow(format: str, **options: Any) -> Callable[[bytes], bytes]:
    """An encoder as most people would call it, decoding included, as `keep` has to."""

    def encode(body: bytes) -> bytes:
        with Image.open(io.BytesIO(body)) as picture:
            ready = over_white(picture) if format == "JPEG" else picture
            file = io.BytesIO()
            ready.save(file, format, **options)
        return file.getvalue()

    return encode


ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    OURS: lambda body: keep(body, room_bytes=MEGABYTE).body,
    YARDSTICK: pillow("WEBP", quality=80, method=4),
    "WebP lossless": pillow("WEBP", lossless=True, method=4),
    "JPEG q85": pillow("JPEG", quality=85),
    "AVIF default": pillow("AVIF", max_threads=1),
}


def over_white(picture: Image.Image) -> Image.Image:
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    ground = Image.new("RGBA", picture.size, "white")
    return Image.alpha_composite(ground, picture.convert("RGBA")).convert("RGB")


def likeness(original: bytes, kept: bytes) -> float:
    with Image.open(io.BytesIO(original)) as one, Image.open(io.BytesIO(kept)) as other:
        seen = over_white(other)
        wanted = over_white(one)
    if seen.size != wanted.size:
        seen = seen.resize(wanted.size, Image.Resampling.BICUBIC)
    return float(
        structural_similarity(
            np.asarray(wanted.convert("L")),
            np.asarray(seen.convert("L")),
            data_range=255,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
    )


def measured(body: bytes, runs: int) -> dict[str, dict[str, float]]:
    """Bytes, milliseconds and likeness by encoder. The encoders take turns, so that a slow moment hits them all."""
    times: dict[str, list[float]] = {name: [] for name in ENCODERS}
    kept: dict[str, bytes] = {}
    for _ in range(runs):
        for name, encode in ENCODERS.items():
            start = time.process_time()
            kept[name] = encode(body)
            times[name].append(1000 * (time.process_time() - start))
    return {
        name: {
            "bytes": len(kept[name]),
            "ms": round(statistics.median(times[name]), 1),
            "ssim": round(likeness(body, kept[name]), 4),
        }
        for name in ENCODERS
    }


def filled(bodies: dict[str, bytes]) -> list[dict[str, Any]]:
    """What of these pictures, again and again, one megabyte holds, each kept for the room that is left then."""
    room = MEGABYTE
    kept: list[dict[str, Any]] = []
    while True:
        for name, body in bodies.items():
            image = keep(body, room_bytes=room)
            if len(image.body) > room:
                return kept
            room -= len(image.body)
            kept.append(
                {
                    "picture": name,
                    "bytes": len(image.body),
                    "width": image.width,
                    "height": image.height,
                    "ssim": round(likeness(body, image.body), 4),
                }
            )


def extra_memory_mb(file: Path) -> float:
    """What one `keep` adds to a fresh process at its peak."""
    program = [sys.executable, __file__, "--one", str(file)]
    return float(subprocess.run(program, check=True, capture_output=True, text=True).stdout)


def keep_one(file: Path) -> float:
    body = file.read_bytes()
    keep(_small_picture(), room_bytes=MEGABYTE)  # the libraries are loaded
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    keep(body, room_bytes=MEGABYTE)
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def _small_picture() -> bytes:
    file = io.BytesIO()
    Image.linear_gradient("L").convert("RGB").resize((64, 64)).save(file, "PNG")
    return file.getvalue()


def machine() -> dict[str, str]:
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    commit = subprocess.run(["git", "describe", "--always"], check=True, cwd=ROOT, capture_output=True, text=True)
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "commit": commit.stdout.strip(),
        "processor": models[0].partition(": ")[2] if models else platform.machine(),
        "cores": "1 of " + str(os.cpu_count()),
        "python": platform.python_version(),
        "pillow": f"{Image.__version__} (libavif {features.version('avif')}, libwebp {features.version('webp')})",
    }


def report(result: dict[str, Any]) -> str:
    """The figures as a page."""
    pictures = result["pictures"]
    lines = [
        "# Pictures: bytes, likeness, time",
        "",
        "By `make bench-images`; how it is measured stands in [bench/images.py](../images.py). "
        "KB are 1,024 bytes, ms of processor time, on one core, decoding included.",
        "",
        "![Bytes and likeness by encoder](images.svg)",
        "",
        "| picture | sent | " + " | ".join(ENCODERS) + " |",
        "|---|---|" + "---|" * len(ENCODERS),
    ]
    for name, facts in pictures.items():
        cells = [
            f"{found['bytes'] / KB:.0f} KB, {found['ms']:.0f} ms, {found['ssim']:.3f}"
            for found in facts["encoders"].values()
        ]
        lines.append(f"| {name} | {facts['sent_bytes'] / KB:,.0f} KB | " + " | ".join(cells) + " |")
    lines += ["", "| over all | " + " | ".join(ENCODERS) + " |", "|---|" + "---|" * len(ENCODERS)]
    for title, key, form in (
        ("mean KB of the photographs", "photograph_kb", "{:.0f}"),
        ("mean KB", "kb", "{:.0f}"),
        ("mean ms", "ms", "{:.0f}"),
        (f"time over {YARDSTICK}'s", "ratio", "{:.1f} ×"),
        ("least SSIM", "least_ssim", "{:.3f}"),
    ):
        lines.append(
            f"| {title} | " + " | ".join(form.format(result["means"][encoder][key]) for encoder in ENCODERS) + " |"
        )
    lines += ["", "## What one megabyte holds", ""]
    for title, kept in result["filled"].items():
        likes = [found["ssim"] for found in kept]
        full = sum(found["width"] >= pictures[found["picture"]]["width"] for found in kept)
        lines.append(
            f"- {title}: **{len(kept)}**, {full} of them at full size; SSIM at least {min(likes):.3f}, "
            f"median {statistics.median(likes):.3f}."
        )
    memory = [facts["extra_memory_mb"] for facts in pictures.values()]
    lines += [
        "",
        f"One picture adds at most {max(memory):.0f} MB to the process while it is kept.",
        "",
        "## Where",
        "",
        *(f"- {name}: {value}" for name, value in result["machine"].items()),
        "",
    ]
    return "\n".join(lines)


def chart(result: dict[str, Any], file: Path) -> None:
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "unified"
    from matplotlib import pyplot

    figure, plot = pyplot.subplots(figsize=(8, 4.5), facecolor="white")
    looks = (("#2563eb", "o"), ("#c2410c", "s"), ("#64748b", "v"), ("#a16207", "^"), ("#15803d", "D"))
    for name, (colour, marker) in zip(ENCODERS, looks, strict=True):
        found = [facts["encoders"][name] for facts in result["pictures"].values()]
        plot.scatter(
            [one["bytes"] / KB for one in found],
            [one["ssim"] for one in found],
            label=name,
            color=colour,
            marker=marker,
            s=60,
            alpha=0.85,
        )
    plot.set_xscale("log")
    plot.set_xticks([10, 30, 100, 300, 1000], ["10", "30", "100", "300", "1,000"])
    plot.set_xlabel("KB, the fewer the better")
    plot.set_ylabel("SSIM, the higher the better")
    plot.axhline(0.955, color="#94a3b8", linewidth=1, linestyle="--")
    plot.grid(alpha=0.2)
    plot.legend(loc="lower right", frameon=False)
    figure.tight_layout()
    figure.savefig(file, format="svg", metadata={"Date": None})


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("corpus", type=Path, nargs="?", help="a folder of PNG pictures")
    options.add_argument("--photographs", default="ai_", help="how the names of the photographic ones begin")
    options.add_argument("--runs", type=int, default=5)
    options.add_argument("--results", type=Path, default=ROOT / "bench" / "results")
    options.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    wanted = options.parse_args()
    if wanted.one is not None:
        print(keep_one(wanted.one))
        return
    files = sorted(wanted.corpus.glob("*.png")) if wanted.corpus else []
    if not files:
        sys.exit(f"There are no PNG pictures in {wanted.corpus}; name a folder of some: make bench-images CORPUS=…")
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

    bodies = {file.name: file.read_bytes() for file in files}
    photographs = {name: body for name, body in bodies.items() if name.startswith(wanted.photographs)}
    pictures = {}
    for file in files:
        print(f"{file.name} …", file=sys.stderr)
        with Image.open(file) as picture:
            width, height = picture.size
        pictures[file.name] = {
            "sent_bytes": len(bodies[file.name]),
            "width": width,
            "height": height,
            "extra_memory_mb": round(extra_memory_mb(file), 1),
            "encoders": measured(bodies[file.name], wanted.runs),
        }
    means = {}
    for name in ENCODERS:
        found = [facts["encoders"][name] for facts in pictures.values()]
        of_photographs = [pictures[photograph]["encoders"][name]["bytes"] / KB for photograph in photographs]
        means[name] = {
            "kb": statistics.mean(one["bytes"] / KB for one in found),
            "photograph_kb": statistics.mean(of_photographs) if of_photographs else 0.0,
            "ms": statistics.mean(one["ms"] for one in found),
            "least_ssim": min(one["ssim"] for one in found),
        }
    for figures in means.values():
        figures["ratio"] = figures["ms"] / means[YARDSTICK]["ms"]
    result = {
        "machine": machine(),
        "pictures": pictures,
        "means": means,
        "filled": {"the photographs, in turn": filled(photographs or bodies), "all, in turn": filled(bodies)},
    }
    wanted.results.mkdir(parents=True, exist_ok=True)
    (wanted.results / "images.json").write_text(json.dumps(result, indent=1) + "\n")
    (wanted.results / "images.md").write_text(report(result))
    chart(result, wanted.results / "images.svg")
    print(report(result))


if __name__ == "__main__":
    main()
