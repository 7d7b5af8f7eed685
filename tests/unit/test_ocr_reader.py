"""Pictures and scans, good and hostile, really recognised."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from PIL import Image, ImageDraw

from chalicelib.errors import (
    BrokenFile,
    Cancelled,
    EmptyFile,
    HandOver,
    ParserCrashed,
    PasswordRequired,
    TooLarge,
)
from chalicelib.ingest.document import Extracted, ProgressCallback, ignore_progress
from chalicelib.ingest.formats import FORMATS, SCANS
from chalicelib.ingest.reading import Checkpoint, ExtractionLimits, Forgetful, Workplace
from chalicelib.ocr import reader
from tests import hostile
from tests.unit import scans
from tests.unit.scans import WORDS

LIMITS = ExtractionLimits(memory_bytes=1024 * 1024**2, seconds=60, max_pages=20)


@pytest.fixture(autouse=True)
def nothing_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    """Fail a test that leaves a child, a temporary file, or a variable that breaks the speech recogniser."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    (tmp_path / "place").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    before = {child.pid for child in psutil.Process().children()}
    yield
    assert {child.pid for child in psutil.Process().children()} <= before
    assert list(temporary.iterdir()) == []
    assert list((tmp_path / "place").iterdir()) == []
    assert "OMP_THREAD_LIMIT" not in os.environ


def read(
    folder: Path,
    data: bytes,
    filename: str = "scan.png",
    *,
    on_progress: ProgressCallback = ignore_progress,
    checkpoint: Checkpoint | None = None,
    seconds_left: Callable[[], float] = lambda: 600.0,
    limits: ExtractionLimits = LIMITS,
) -> Extracted:
    place = Workplace(
        folder=folder / "place",
        limits=limits,
        on_progress=on_progress,
        checkpoint=checkpoint or Forgetful(),
        seconds_left=seconds_left,
    )
    return reader.read(scans.source_of(folder, data, filename, max_pages=limits.max_pages), place)


def words_in(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower()))


def test_pictures_and_scans_are_read_by_this_reader() -> None:
    path = f"{reader.__name__}:{reader.read.__name__}"
    assert (FORMATS["image"].reader, FORMATS["image"].queue, FORMATS["pdf"].scan_reader) == (
        path,
        SCANS,
        path,
    )


# --- Pictures -----------------------------------------------------------------------------------------------


def test_a_picture_is_read_with_title_and_confidence(tmp_path: Path) -> None:
    seen: list[tuple[int, int, str]] = []
    found = read(tmp_path, scans.png(scans.page()), on_progress=lambda *report: seen.append(report))
    assert words_in(found.text) >= WORDS
    assert (found.title, found.source_type, found.pages, found.warnings) == ("Harbour report", "image", 1, ())
    assert (found.metadata["format"], found.metadata["ocr_pages"]) == ("PNG", "1")
    assert int(found.metadata["ocr_confidence"]) > 85
    assert seen == [(0, 1, "page 1 of 1"), (1, 1, "page 1 of 1")]


@pytest.mark.parametrize("turn", [90, 180])
def test_a_turned_picture_is_read_upright(tmp_path: Path, turn: int) -> None:
    found = read(tmp_path, scans.png(scans.page().rotate(turn, expand=True)))
    assert words_in(found.text) >= WORDS
    assert found.title == "Harbour report"


@pytest.mark.parametrize(
    "picture",
    [
        scans.page().rotate(3, Image.Resampling.BICUBIC, expand=True, fillcolor=255),
        scans.page(ink=165, paper=190),
        scans.noisy(scans.page(), 60),
        scans.page(size=15, margin=30),
        scans.page(ink=240, paper=20),
    ],
    ids=["skewed", "pale", "grainy", "small", "white on black"],
)
def test_a_hard_picture_is_read(tmp_path: Path, picture: Image.Image) -> None:
    assert words_in(read(tmp_path, scans.png(picture)).text) >= WORDS


def test_a_table_without_lines_is_read_row_by_row(tmp_path: Path) -> None:
    table = Image.new("L", (1700, 900), 255)
    rows = [
        ("Flour", "220.80"),
        ("Butter", "428.75"),
        ("Sugar", "119.70"),
        ("Yeast", "86.00"),
        ("Total", "855.25"),
    ]
    for number, row in enumerate(rows):
        for column, cell in enumerate(row):
            table.paste(scans.page([cell], margin=0), (150 + 1000 * column, 100 + 140 * number))
    lines = read(tmp_path, scans.png(table)).text.replace("\n\n", "\n").split("\n")
    assert lines == [" ".join(row) for row in rows]


def test_a_camera_that_was_held_on_its_side_is_believed(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    found = read(
        tmp_path, scans.encoded(scans.page().rotate(90, expand=True), "JPEG", exif=exif.tobytes()), "a.jpg"
    )
    assert words_in(found.text) >= WORDS


@pytest.mark.parametrize("mode", ["1", "P", "RGBA", "LA", "CMYK", "I;16"])
def test_every_kind_of_pixel_is_read(tmp_path: Path, mode: str) -> None:
    grey = scans.page()
    if mode in ("RGBA", "LA"):  # black on nothing
        picture = Image.new(mode, grey.size, (0,) * len(mode))
        picture.putalpha(grey.point([255 - level for level in range(256)]))
    elif mode == "I;16":
        picture = grey.convert("I").point(lambda level: level * 200).convert("I;16")
    else:
        picture = grey.convert(mode)
    data = scans.encoded(picture, "TIFF" if mode == "CMYK" else "PNG")
    assert words_in(read(tmp_path, data).text) >= WORDS


def test_a_picture_without_text_is_named_so(tmp_path: Path) -> None:
    picture = Image.effect_noise((900, 700), 70)
    pen = ImageDraw.Draw(picture)
    for number in range(12):
        pen.ellipse(
            (60 * number, 50 * number, 60 * number + 150, 50 * number + 120), outline=20 * number, width=9
        )
    with pytest.raises(EmptyFile, match="No text was found in the picture"):
        read(tmp_path, scans.png(picture))


# --- Pages --------------------------------------------------------------------------------------------------


def test_the_pages_of_a_tiff_come_in_order(tmp_path: Path) -> None:
    pages = [scans.page([f"Chapter {name} begins here"]) for name in ("one", "two", "three")]
    found = read(tmp_path, scans.encoded(pages[0], "TIFF", pages[1:]), "book.tif")
    assert re.findall(r"Chapter (\w+)", found.text) == ["one", "two", "three"]
    assert (found.pages, found.metadata["ocr_pages"]) == (3, "3")


def test_only_the_scanned_pages_of_a_pdf_are_recognised_and_merged_in_order(tmp_path: Path) -> None:
    seen: list[tuple[int, int, str]] = []
    drawing = Image.new("L", (600, 800), 255)
    drawing.paste(0, (100, 100, 500, 700))
    data = scans.scanned_pdf("Written before", scans.page(), "Written after", drawing)
    found = read(tmp_path, data, "mixed.pdf", on_progress=lambda *report: seen.append(report))
    first, *_, last = found.text.split("\n\n")
    assert (first, last) == ("Written before", "Written after")
    assert words_in(found.text) >= WORDS
    assert (found.title, found.pages, found.pages_without_text) == ("Written before", 4, (4,))
    assert found.metadata["ocr_pages"] == "1"
    assert found.warnings == ("1 of 4 pages (4) hold no text that could be recognised.",)
    assert seen[-1] == (2, 2, "page 2 of 2")


def test_a_pdf_without_scanned_pages_is_read_all_the_same(tmp_path: Path) -> None:
    seen: list[tuple[int, int, str]] = []
    data = scans.scanned_pdf("Written before")
    found = read(tmp_path, data, "text.pdf", on_progress=lambda *report: seen.append(report))
    assert (found.text, found.metadata.get("ocr_pages"), seen) == ("Written before", None, [])


def test_the_name_of_the_file_is_no_title(tmp_path: Path) -> None:
    found = read(tmp_path, scans.encoded(scans.page(), "PDF", title="scan_07"), "scan_07.pdf")
    assert found.title == "Harbour report"


def test_a_locked_scan_wants_its_password(tmp_path: Path) -> None:
    with pytest.raises(PasswordRequired):
        read(tmp_path, hostile.encrypted_pdf("hidden", user="pass", owner="o"), "locked.pdf")


def test_a_damaged_page_spoils_no_other(tmp_path: Path) -> None:
    wide = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 20000 20000]/Contents 5 0 R>>"
    data = hostile.pdf_of_streams(
        [hostile.stream(b"0 0 300 300 re f"), hostile.stream(hostile.show("words"))]
    )
    data = data.replace(b"<</Type/Page/Parent 2 0 R/Contents 5 0 R>>", wide)
    found = read(tmp_path, data, "wide.pdf")
    assert found.text == "words"
    assert "1 of 2 pages (1) could not be read" in found.warnings[0]
    assert "the limit for text recognition is 200 inches" in found.warnings[0]


# --- Resuming -----------------------------------------------------------------------------------------------


def test_a_run_out_of_time_hands_over_and_the_next_goes_on_after_its_pages(tmp_path: Path) -> None:
    pages = [scans.page([f"Chapter {name} begins here"]) for name in ("one", "two", "three", "four")]
    data, checkpoint = scans.encoded(pages[0], "TIFF", pages[1:]), Forgetful()
    with pytest.raises(HandOver, match="Going on at page 2 of 4") as caught:
        read(tmp_path, data, "book.tif", checkpoint=checkpoint, seconds_left=lambda: 1.0)
    assert caught.value.queue == SCANS
    seen: list[tuple[int, int, str]] = []
    found = read(
        tmp_path, data, "book.tif", checkpoint=checkpoint, on_progress=lambda *report: seen.append(report)
    )
    assert re.findall(r"Chapter (\w+)", found.text) == ["one", "two", "three", "four"]
    assert [done for done, _, _ in seen] == [1, 2, 3, 4]


def test_a_run_finishes_one_page_however_little_time_it_has(tmp_path: Path) -> None:
    on_its_side = scans.png(scans.page().rotate(90, expand=True))
    assert words_in(read(tmp_path, on_its_side, seconds_left=lambda: 0.0).text) >= WORDS


def test_a_checkpoint_of_another_version_is_no_hindrance(tmp_path: Path) -> None:
    checkpoint = Forgetful()
    checkpoint.save(b'{"1": 7}')
    assert words_in(read(tmp_path, scans.png(scans.page()), checkpoint=checkpoint).text) >= WORDS


def test_what_the_progress_callback_raises_stops_everything(tmp_path: Path) -> None:
    def cancel(done: int, total: int, text: str) -> None:
        if done:
            raise Cancelled("by the owner")

    pages = [scans.page()] * 4
    with pytest.raises(Cancelled, match="by the owner"):
        read(tmp_path, scans.encoded(pages[0], "TIFF", pages[1:]), "book.tif", on_progress=cancel)


# --- Hostile files ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(35_000, 35_000), (20_000, 20_000), (2**31 - 1, 2**31 - 1)])
def test_too_many_pixels_are_refused_before_one_is_decoded(tmp_path: Path, size: tuple[int, int]) -> None:
    with pytest.raises(TooLarge, match="the limit is 100 megapixels") as caught:
        read(tmp_path, scans.png_header(*size))
    assert caught.value.details == {"limit_megapixels": 100}


def test_a_picture_of_35000_pixels_length_is_read(tmp_path: Path) -> None:
    strip = Image.new("L", (35_000, 160), 255)
    strip.paste(scans.page(["The northern terminal"], margin=10), (300, 20))
    strip.paste(scans.page(["of the harbour"], margin=10), (33_000, 20))
    assert words_in(read(tmp_path, scans.png(strip)).text) >= {"northern", "terminal", "harbour"}


def test_a_packed_picture_that_needs_more_than_its_memory_is_stopped(tmp_path: Path) -> None:
    small = ExtractionLimits(memory_bytes=32 * 1024**2, seconds=20, max_pages=20)
    with pytest.raises(ParserCrashed, match="memory limit of 32 MB"):
        read(tmp_path, scans.png_header(9_900, 9_900, rows=9_900), limits=small)


def test_a_pdf_page_of_833333_points_is_refused(tmp_path: Path) -> None:
    data = hostile.pdf_of_streams([hostile.stream(b"0 0 300 300 re f")], box=b"0 0 833333 833333")
    with pytest.raises(TooLarge, match="11,574 inches long; the limit for text recognition is 200 inches"):
        read(tmp_path, data, "huge.pdf")


@pytest.mark.parametrize("kept", [14, 15, 20, 24, 30, 40])
def test_a_film_that_is_cut_anywhere_is_broken_or_empty(tmp_path: Path, kept: int) -> None:
    with pytest.raises((BrokenFile, EmptyFile)):
        read(tmp_path, scans.gif_of(scans.page(), 3)[:kept], "film.gif")


def test_of_ten_thousand_frames_the_first_is_read(tmp_path: Path) -> None:
    found = read(tmp_path, scans.gif_of(scans.page(), 10_000), "film.gif")
    assert words_in(found.text) >= WORDS
    assert found.warnings == ("This is an animation: only its first picture was read.",)


def test_a_tiff_of_too_many_pages_is_refused(tmp_path: Path) -> None:
    dot = Image.new("L", (8, 8))
    with pytest.raises(TooLarge, match="more than 20 pages, which is the limit") as caught:
        read(tmp_path, scans.encoded(dot, "TIFF", [dot] * 20), "many.tif")
    assert caught.value.details == {"limit_pages": 20}


def test_a_tiff_whose_page_follows_itself_has_one(tmp_path: Path) -> None:
    assert read(tmp_path, scans.tiff_loop(), "loop.tif").pages == 1


@pytest.mark.parametrize("share", [0.05, 0.3, 0.9])
def test_a_truncated_png_is_broken(tmp_path: Path, share: float) -> None:
    data = scans.png(scans.page())
    with pytest.raises(BrokenFile, match="The picture is damaged"):
        read(tmp_path, data[: int(len(data) * share)])


def test_a_png_named_jpg_is_read(tmp_path: Path) -> None:
    found = read(tmp_path, scans.png(scans.page()), "photo.jpg")
    assert found.metadata["format"] == "PNG"
    assert words_in(found.text) >= WORDS


def test_a_damaged_note_on_a_picture_does_no_harm(tmp_path: Path) -> None:
    data = scans.encoded(scans.page(), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff" + b"\xff" * 40)
    assert words_in(read(tmp_path, data, "a.jpg").text) >= WORDS
