"""
How alike two pictures look: the structural similarity (SSIM, Wang et al. 2004) of their lightness, over blocks of 8 × 8
pixels that do not overlap. Pillow's own arithmetic, about 25 ms a megapixel.
"""

from __future__ import annotations

from typing import Any

from PIL import Image, ImageMath

from workspace.images.normalising import over_white

_BLOCK = 8
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


def likeness(one: Image.Image, other: Image.Image) -> float:
    """1 for the same pictures, about 0.95 where a careful eye begins to see a difference. The sizes must be equal."""
    x, y = (over_white(picture).convert("L").convert("F") for picture in (one, other))
    xx, yy, xy = (_product(*pair).reduce(_BLOCK) for pair in ((x, x), (y, y), (x, y)))
    blocks = ImageMath.lambda_eval(_ssim, x=x.reduce(_BLOCK), y=y.reduce(_BLOCK), xx=xx, yy=yy, xy=xy)
    mean = blocks.resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
    return float(mean)


def _product(x: Image.Image, y: Image.Image) -> Image.Image:
    product: Image.Image = ImageMath.lambda_eval(lambda given: given["x"] * given["y"], x=x, y=y)
    return product


def _ssim(given: dict[str, Any]) -> Any:
    x, y = given["x"], given["y"]
    likeness_of_means = (x * y * 2 + _C1) / (x * x + y * y + _C1)
    covariance, variances = given["xy"] - x * y, given["xx"] + given["yy"] - x * x - y * y
    return likeness_of_means * (covariance * 2 + _C2) / (variances + _C2)
