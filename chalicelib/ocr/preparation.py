"""A grey picture made easy to read: even light, the right size, straight lines.

Pillow only. Runs in the sandbox: the pixels are foreign, and so may their number be.
"""

from __future__ import annotations

import math
from itertools import pairwise
from statistics import median
from typing import Final

import msgspec
from PIL import Image, ImageChops, ImageFilter, ImageMath, ImageOps, ImageStat

# Pictures whose long side is below this (in pixels) are enlarged to about twice it: small type is read badly.
SMALL_SIDE: Final = 1600
_MAX_ENLARGEMENT: Final = 4
# Pictures beyond this many pixels are made smaller; type that needs more is none that a person reads.
_MAX_PIXELS: Final = 25_000_000
# Tesseract refuses sides of more than 32,767 pixels.
_MAX_SIDE: Final = 32_000

# Side of the patches, in pixels, that noise is measured in, and the level (of 255) from which a page is noisy.
# Clean scans have 0, good photographs 1 to 3, the noisy sample page 15.
_PATCH: Final = 256
_NOISY: Final = 6
# Light is evened where the paper is not white all over: below this level (of 255).
_WHITE: Final = 235
# Grey paper whose levels differ by no more than this is even: stretching it is enough, and ten times faster.
_EVEN: Final = 12
# Paper is never taken for darker than this, or dark areas of a picture would be blown up into noise.
_DARKEST_PAPER: Final = 96
# Paper is measured on the picture at 1/8, as the lightest of 9 × 9 pixels: 72 of the original, wider than any stroke.
_REDUCTION: Final = 8

# Skew is looked for within ±10°, in steps of 1° down to 0.1°; below half a degree it does not matter.
_MAX_SKEW: Final = 10
_MIN_SKEW: Final = 0.5
# The picture's projections are taken in this many vertical strips of at most so many pixels' height.
_STRIPS: Final = 32
_STRIP_HEIGHT: Final = 1000
# How much sharper the lines across must be for a page to be taken as lying on its side.
_SIDEWAYS: Final = 1.5

# Margin in pixels around pictures that were enlarged: Tesseract loses letters that touch the edge.
_MARGIN: Final = 24


class Findings(msgspec.Struct, frozen=True, kw_only=True):
    """What was found out about a page on the way."""

    # Size in pixels of what was written.
    width: int
    height: int
    # Level of noise, 0 to 255: the median of the Laplacian.
    noise: float = 0.0
    # Degrees by which the lines fall to the right; the page was turned back by them.
    skew: float = 0.0
    # Lines seem to run from top to bottom: the page lies on its side, and skew was not looked for.
    sideways: bool = False


def prepared(image: Image.Image, *, turn: int = 0) -> tuple[Image.Image, Findings]:
    """Return the grey picture `image` (mode L), turned clockwise by `turn` degrees (0, 90, 180 or 270), made ready.

    Dark pictures are inverted, uneven or grey paper becomes white, small pictures are enlarged, large ones made
    smaller, skewed lines straight. Noisy pages are left as they are but for the skew: enlarging and evening make
    noise into specks.
    """
    image = _turned(image, turn)
    if ImageStat.Stat(image.reduce(_reduction(image))).median[0] < 128:
        image = ImageOps.invert(image)
    noise = noise_level(image)
    if noise < _NOISY:
        image = evened(image)
    image = _sized(image, enlarge=noise < _NOISY)
    skew, sharpness = skew_of(image)
    sideways = _is_sideways(image, sharpness)
    if sideways or abs(skew) < _MIN_SKEW:
        skew = 0.0
    else:
        image = image.rotate(skew, Image.Resampling.BILINEAR, fillcolor=255)
    found = Findings(width=image.width, height=image.height, noise=noise, skew=skew, sideways=sideways)
    return image, found


def noise_level(image: Image.Image) -> float:
    """Return how noisy a grey picture is: the median, over nine patches, of the Laplacian's median level.

    After J. Immerkær, "Fast noise variance estimation", 1996: the difference of two Laplacians is blind to edges
    and gradients. The median is blind to the strokes, which cover a small part of a page.
    """
    side = min(_PATCH, image.width, image.height)
    levels = []
    for column in range(3):
        for row in range(3):
            left, top = (image.width - side) * column // 2, (image.height - side) * row // 2
            patch = image.crop((left, top, left + side, top + side)).filter(_LAPLACIAN)
            levels.append(ImageStat.Stat(patch.point(_DISTANCE_FROM_GREY)).median[0])
    return float(median(levels))


_LAPLACIAN: Final = ImageFilter.Kernel((3, 3), (1, -2, 1, -2, 4, -2, 1, -2, 1), scale=4, offset=128)
_DISTANCE_FROM_GREY: Final = [abs(level - 128) for level in range(256)]


def evened(image: Image.Image) -> Image.Image:
    """Return a grey picture with white paper: divided by its background, then stretched to full contrast."""
    small = image.reduce(_reduction(image))
    if min(small.size) < 9:
        return ImageOps.autocontrast(image)
    # Twice the lightest of 3 × 3, the second time on every third pixel only: a fifth of the time of 9 × 9 at once.
    widen = ImageFilter.MaxFilter(3)
    third = (small.width // 3, small.height // 3)
    paper = small.filter(widen).resize(third, Image.Resampling.NEAREST).filter(widen)
    darkest, lightest = min(paper.tobytes()), max(paper.tobytes())
    if darkest >= _WHITE:
        return image
    if lightest - darkest <= _EVEN:
        return ImageOps.autocontrast(image)
    paper = paper.filter(ImageFilter.GaussianBlur(2))
    paper = ImageChops.lighter(paper, Image.new("L", paper.size, _DARKEST_PAPER))
    paper = paper.resize(image.size, Image.Resampling.BILINEAR)
    even = ImageMath.lambda_eval(
        lambda pictures: pictures["convert"](pictures["image"] * 255 / pictures["paper"], "L"),
        image=image,
        paper=paper,
    )
    return ImageOps.autocontrast(even)


def skew_of(image: Image.Image) -> tuple[float, float]:
    """Return the angle in degrees by which text lines fall to the right, and how sharp the lines are then.

    Postl's method (1986), the sharpest projection, on strips: each column of a small picture is the projection of
    a vertical strip of `image`, so that trying an angle is to shift 32 columns against each other: 0.6 ms.
    """
    profile = image.resize((_STRIPS, min(image.height, _STRIP_HEIGHT)), Image.Resampling.BOX)
    aspect = (image.width / profile.width) / (image.height / profile.height)

    def sharpness(angle: float) -> float:
        return _sharpness(profile, math.tan(math.radians(angle)) * aspect)

    # The smallest angle first: on a page without lines all are alike.
    angle = max(sorted(map(float, range(-_MAX_SKEW, _MAX_SKEW + 1)), key=abs), key=sharpness)
    for step in (0.5, 0.2, 0.1):
        angle = max((angle, angle - step, angle + step), key=sharpness)
    return round(angle, 1), sharpness(angle)


def _is_sideways(image: Image.Image, sharpness: float) -> bool:
    """Say whether the columns of `image` differ from their neighbours more than its rows do by `sharpness`."""
    across = image.resize((min(image.width, _STRIP_HEIGHT), _STRIPS), Image.Resampling.BOX)
    return _sharpness(across.transpose(Image.Transpose.ROTATE_90), 0.0) > _SIDEWAYS * sharpness


def _sharpness(profile: Image.Image, slope: float) -> float:
    """Return how much the rows of `profile` differ from their neighbours once it is sheared by `slope`."""
    width, height = profile.size
    shear = (1, 0, 0, slope, 1, -slope * width / 2)
    sheared = profile.transform(
        profile.size, Image.Transform.AFFINE, shear, Image.Resampling.BILINEAR, fillcolor=255
    )
    rows = sheared.resize((1, height), Image.Resampling.BOX).tobytes()
    return sum((above - below) ** 2 for above, below in pairwise(rows)) / height


def _turned(image: Image.Image, turn: int) -> Image.Image:
    clockwise = {
        90: Image.Transpose.ROTATE_270,
        180: Image.Transpose.ROTATE_180,
        270: Image.Transpose.ROTATE_90,
    }
    return image.transpose(clockwise[turn]) if turn else image


def _sized(image: Image.Image, *, enlarge: bool) -> Image.Image:
    long_side, pixels = max(image.size), image.width * image.height
    scale = min(1.0, math.sqrt(_MAX_PIXELS / pixels), _MAX_SIDE / long_side)
    if enlarge and long_side < SMALL_SIDE:
        scale = min(_MAX_ENLARGEMENT, 2 * SMALL_SIDE / long_side)
    if scale == 1.0:
        return image
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    image = image.resize(size, Image.Resampling.BICUBIC if scale > 1 else Image.Resampling.BOX)
    return ImageOps.expand(image, border=_MARGIN, fill=255) if scale > 1 else image


def _reduction(image: Image.Image) -> int:
    return min(_REDUCTION, *image.size)
