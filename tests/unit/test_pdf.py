"""PDF files, good and hostile, the whole way through the sandbox."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import psutil
import pytest

from chalicelib.errors import (
    BrokenFile,
    Cancelled,
    EmptyFile,
    ParserCrashed,
    PasswordRequired,
    SyncBoardError,
    TooLarge,
)
from chalicelib.ingest import pdf
from chalicelib.ingest.content import ContentType
from chalicelib.ingest.document import Extracted
from chalicelib.ingest.extraction import ExtractionLimits, extract
from tests import documents, hostile

LIMITS = ExtractionLimits(memory_bytes=96 * 1024**2, seconds=10, max_pages=2000)
SMALL = ExtractionLimits(memory_bytes=32 * 1024**2, seconds=5, max_pages=10)
SAMPLES = Path(__file__).resolve().parents[2] / "samples"


@pytest.fixture(autouse=True)
def nothing_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    """Fail a test that leaves a child or a temporary directory."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    before = {child.pid for child in psutil.Process().children()}
    yield
    assert {child.pid for child in psutil.Process().children()} <= before
    assert list(folder.iterdir()) == []


def read(folder: Path, data: bytes, *, limits: ExtractionLimits = LIMITS, **options: Any) -> Extracted:
    return documents.read(folder, data, "report.pdf", limits=limits, **options)


# --- Good files ---------------------------------------------------------------------------------------------


def test_pages_come_in_order_with_their_text(tmp_path: Path) -> None:
    found = read(tmp_path, hostile.text_pdf("A heading\nFirst page.", "Second page."))
    assert found.text == "A heading\nFirst page.\n\nSecond page."
    assert (found.pages, found.pages_without_text, found.source_type, found.warnings) == (2, (), "pdf", ())


def test_progress_counts_pages_to_the_end(tmp_path: Path) -> None:
    seen: list[tuple[int, int, str]] = []
    read(tmp_path, hostile.text_pdf(*"abcde"), on_progress=lambda *report: seen.append(report))
    assert seen[-1] == (5, 5, "page 5 of 5")
    assert seen == sorted(seen)


def test_a_stated_title_and_author_are_taken(tmp_path: Path) -> None:
    found = read(tmp_path, hostile.titled_pdf("Report on Harbours", "First line"))
    assert found.title == "Report on Harbours"
    assert found.metadata == {"author": "A. Person", "created": "2026-03-09"}


@pytest.mark.parametrize(
    "stated", ["untitled", "Document1", "Microsoft Word - final.docx", "C:\\tmp\\x", "12-03", ""]
)
def test_a_title_that_a_program_wrote_gives_way_to_the_first_heading(tmp_path: Path, stated: str) -> None:
    data = hostile.titled_pdf(stated, "Page 1 of 3\nHarbour report\nText follows.")
    assert read(tmp_path, data).title == "Harbour report"


def test_without_a_heading_the_title_is_the_file_name(tmp_path: Path) -> None:
    assert read(tmp_path, hostile.text_pdf("12")).title == "report"


def test_a_word_that_was_parted_at_the_line_end_is_joined(tmp_path: Path) -> None:
    assert "information about" in read(tmp_path, hostile.text_pdf("all infor-\nmation about")).text


@pytest.mark.parametrize("mark", ["\x02", "\ufffe", "\xad"])
@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_every_soft_hyphen_mark_joins(mark: str, end: str) -> None:
    assert pdf._SOFT_HYPHEN.sub("", f"infor{mark}{end}mation") == "information"


def test_a_page_of_833333_pixels_is_read(tmp_path: Path) -> None:
    assert read(tmp_path, hostile.text_pdf("wide", box=b"0 0 833333 833333")).text == "wide"


# --- Passwords ----------------------------------------------------------------------------------------------


def test_an_owner_password_does_not_hinder(tmp_path: Path) -> None:
    assert read(tmp_path, hostile.encrypted_pdf("shown", user="", owner="o")).text == "shown"


def test_a_user_password_opens_the_file(tmp_path: Path) -> None:
    assert (
        read(tmp_path, hostile.encrypted_pdf("hidden", user="pass", owner="o"), password="pass").text
        == "hidden"
    )


@pytest.mark.parametrize(
    ("password", "message"), [(None, "is encrypted"), ("", "is encrypted"), ("no", "is wrong")]
)
def test_a_missing_or_wrong_password_is_named(tmp_path: Path, password: str | None, message: str) -> None:
    with pytest.raises(PasswordRequired, match=message):
        read(tmp_path, hostile.encrypted_pdf("hidden", user="pass", owner="o"), password=password)


# --- No text ------------------------------------------------------------------------------------------------


def test_a_scan_says_that_it_looks_like_one(tmp_path: Path) -> None:
    with pytest.raises(EmptyFile, match="looks like a scan") as caught:
        read(tmp_path, hostile.drawing_pdf())
    assert caught.value.details == {"pages": 1, "pages_without_text": 1}


def test_a_blank_page_is_no_scan(tmp_path: Path) -> None:
    with pytest.raises(EmptyFile, match="no text in the file"):
        read(tmp_path, hostile.blank_pdf())


def test_scanned_pages_among_others_are_numbered(tmp_path: Path) -> None:
    drawing, text = hostile.stream(b"0 0 300 300 re f"), hostile.stream(hostile.show("words"))
    found = read(tmp_path, hostile.pdf_of_streams([text, drawing, hostile.stream(b""), drawing]))
    assert found.pages_without_text == (2, 4)
    assert found.warnings == ("2 of 4 pages hold no text: they look scanned.",)


# --- Hostile files ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tenth", range(1, 10))
def test_a_truncated_file_is_broken(tmp_path: Path, tenth: int) -> None:
    data = hostile.text_pdf("alpha beta", "gamma delta")
    with pytest.raises(BrokenFile, match="damaged beyond recovery"):
        read(tmp_path, data[: len(data) * tenth // 10])


def test_a_wrong_cross_reference_is_recovered(tmp_path: Path) -> None:
    data = hostile.text_pdf("alpha", "beta")
    start = data.rindex(b"startxref")
    assert read(tmp_path, data[:start] + b"startxref\n7\n%%EOF\n").text == "alpha\n\nbeta"


def test_a_recovered_file_without_its_end_warns(tmp_path: Path) -> None:
    data = hostile.text_pdf("alpha", "beta")
    found = read(tmp_path, data[: data.rindex(b"startxref")])
    assert found.text == "alpha\n\nbeta"
    assert found.warnings == ("The file's end is missing: pages may be missing too.",)


def test_two_thousand_pages_are_read_and_one_more_is_refused(tmp_path: Path) -> None:
    assert read(tmp_path, hostile.many_pages_pdf(2000)).pages == 2000
    with pytest.raises(TooLarge, match=r"2,001 pages; the limit is 2,000") as caught:
        read(tmp_path, hostile.many_pages_pdf(2001))
    assert caught.value.details == {"limit_pages": 2000}


def test_a_page_tree_that_holds_itself_is_broken_and_has_not_999999_pages(tmp_path: Path) -> None:
    with pytest.raises(BrokenFile, match="page tree is damaged"):
        read(tmp_path, hostile.page_loop_pdf())


def test_a_file_that_lies_about_its_pages_is_counted(tmp_path: Path) -> None:
    found = read(tmp_path, hostile.lying_count_pdf())
    assert (found.text, found.pages) == ("one\n\ntwo", 2)


def test_a_flate_bomb_ends_at_the_memory_limit(tmp_path: Path) -> None:
    with pytest.raises(ParserCrashed, match="memory limit of 32 MB"):
        read(tmp_path, hostile.flate_bomb_pdf(50_000_000), limits=SMALL)


def test_an_operator_bomb_ends_at_a_limit(tmp_path: Path) -> None:
    with pytest.raises(ParserCrashed, match=r"memory limit of 32 MB|time limit"):
        read(tmp_path, hostile.operator_bomb_pdf(), limits=SMALL)


def test_arrays_nested_very_deep_do_no_harm(tmp_path: Path) -> None:
    assert read(tmp_path, hostile.nested_array_pdf(200_000)).text == "nested"


def test_a_page_tree_nested_very_deep_is_broken(tmp_path: Path) -> None:
    with pytest.raises(BrokenFile, match="None of the PDF's 1 pages"):
        read(tmp_path, hostile.nested_page_tree_pdf(3000))


def test_a_pdf_header_before_random_bytes_is_broken(tmp_path: Path) -> None:
    with pytest.raises(BrokenFile):
        read(tmp_path, b"%PDF-1.7\n" + random.Random(3).randbytes(5000))


_FILE_ERRORS = {"broken_file", "empty_file", "parser_crashed", "password_required", "too_large"}


def _outcome_of_bytes(folder: Path, data: bytes) -> str:
    try:
        read(folder, data)
    except SyncBoardError as error:
        return error.type
    return "SUCCESS"


def test_random_damage_ends_in_text_or_in_a_named_error(tmp_path: Path) -> None:
    whole = hostile.text_pdf("alpha beta", "gamma delta", "epsilon")
    chance = random.Random(11)
    outcomes = set()
    for _ in range(15):
        data = bytearray(whole)
        for _ in range(12):
            data[chance.randrange(9, len(data))] = chance.randrange(256)
        outcomes.add(_outcome_of_bytes(tmp_path, bytes(data)))
    # Not all alike, or the damage was none or total.
    assert {"SUCCESS"} < outcomes <= {"SUCCESS", *_FILE_ERRORS}


def test_cancelling_in_a_progress_call_stops_the_parser(tmp_path: Path) -> None:
    def cancel(done: int, total: int, text: str) -> None:
        raise Cancelled("by the owner")

    with pytest.raises(Cancelled, match="by the owner"):
        read(tmp_path, hostile.many_pages_pdf(1500), on_progress=cancel)


# --- The samples --------------------------------------------------------------------------------------------


def test_the_locked_sample_opens_with_its_password() -> None:
    path = SAMPLES / "locked.pdf"
    content = ContentType(kind="pdf", mime="application/pdf")
    found = extract(path, content=content, filename=path.name, password="open-sesame", limits=LIMITS)
    assert (found.pages, found.title) == (3, "A field guide to job queues")
