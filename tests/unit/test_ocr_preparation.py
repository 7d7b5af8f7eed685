"""Making a page easy to read; nothing is recognised here."""

from __future__ import annotations

import pytest
from PIL import Image, ImageChops, ImageOps, ImageStat

from chalicelib.ocr.preparation import SMALL_SIDE, evened, noise_level, prepared, skew_of
from tests.unit.scans import HARBOUR, noisy, page

LARGE = page(HARBOUR * 5, size=50, margin=150)


@pytest.mark.parametrize("angle", [-8.0, -3.0, 0.0, 1.2, 5.5])
def test_the_skew_of_lines_is_found(angle: float) -> None:
    skewed = LARGE.rotate(-angle, Image.Resampling.BICUBIC, expand=True, fillcolor=255)
    assert skew_of(skewed)[0] == pytest.approx(angle, abs=0.3)


def test_skewed_lines_are_made_straight() -> None:
    picture, found = prepared(LARGE.rotate(-4, Image.Resampling.BICUBIC, expand=True, fillcolor=255))
    assert found.skew == pytest.approx(4, abs=0.3)
    assert abs(skew_of(picture)[0]) <= 0.3


def test_an_empty_page_has_no_skew_and_does_not_lie_on_its_side() -> None:
    _, found = prepared(Image.new("L", (2000, 2600), 255))
    assert (found.skew, found.sideways, found.noise) == (0, False, 0)


@pytest.mark.parametrize("turn", [90, 270])
def test_a_page_on_its_side_is_noticed_and_turned_back(turn: int) -> None:
    on_its_side = LARGE.rotate(turn, expand=True)
    assert prepared(on_its_side)[1].sideways
    upright, found = prepared(on_its_side, turn=turn)
    assert not found.sideways
    assert ImageChops.difference(upright, LARGE).getbbox() is None


def test_grain_is_measured_and_clean_paper_has_none() -> None:
    assert noise_level(LARGE) == 0
    assert noise_level(noisy(LARGE, 80)) > 6


def test_grey_paper_becomes_white_and_pale_ink_black() -> None:
    levels = evened(page(ink=150, paper=200)).tobytes()
    assert min(levels) == 0
    assert max(levels) >= 254


def test_a_shadow_over_the_page_is_lifted() -> None:
    shadow = (
        Image.linear_gradient("L")
        .resize(LARGE.size)
        .point([100 + level * 155 // 255 for level in range(256)])
    )
    dark = ImageChops.multiply(LARGE, shadow)
    even = evened(dark)
    margin = (0, 0, LARGE.width, 100)
    assert ImageStat.Stat(dark.crop(margin)).mean[0] < 120
    assert ImageStat.Stat(even.crop(margin)).mean[0] > 230
    assert min(even.tobytes()) == 0


def test_clean_paper_is_left_alone() -> None:
    assert evened(LARGE) is LARGE


def test_white_on_black_is_inverted() -> None:
    picture, _ = prepared(ImageOps.invert(LARGE))
    assert ImageChops.difference(picture, LARGE).getbbox() is None


def test_small_pictures_are_enlarged_but_not_grainy_ones() -> None:
    small = page(size=16, margin=30)
    assert prepared(small)[1].width > 2 * small.width
    assert prepared(noisy(small, 90))[1].width == small.width
    assert max(LARGE.size) > SMALL_SIDE
    assert prepared(LARGE)[1].width == LARGE.width


def test_very_large_pictures_are_made_smaller() -> None:
    _, found = prepared(Image.new("L", (9000, 9000), 255))
    assert found.width * found.height <= 25_000_000
    _, found = prepared(Image.new("L", (35_000, 100), 255))
    assert found.width <= 32_000


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1), (7, 9), (70, 40)])
def test_tiny_pictures_do_no_harm(size: tuple[int, int]) -> None:
    assert prepared(Image.new("L", size, 200))[0].width >= 1
