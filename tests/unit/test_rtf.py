"""Rich Text Format, the whole way through the sandbox."""

from __future__ import annotations

from pathlib import Path

import pytest

from chalicelib.errors import BrokenFile, EmptyFile, TooLarge
from chalicelib.ingest import rtf
from tests.documents import read


def text_of(folder: Path, body: str) -> str:
    return read(folder, b"{\\rtf1\\ansi\\ansicpg1252\\deff0 " + body.encode("latin-1") + b"}", "a.rtf").text


def test_paragraphs_characters_and_code_pages(tmp_path: Path) -> None:
    body = (
        r"{\fonttbl{\f0 Arial;}{\f1\fcharset204 Arial;}{\f2\fcharset128 x;}}"
        r"Gr\'f6\'dfe \{x\}\par{\f1 \'ce\'f2}\line {\f2\'93\'fa\'96\'7b}\par \u8364?\uc0\u-10179\u-8704 \emdash end"
    )
    assert text_of(tmp_path, body) == "Größe {x}\n\nОт\n日本\n\n€\U0001f600—end"


def test_headings_by_style_and_by_outline_level(tmp_path: Path) -> None:
    body = (
        r"{\stylesheet{\s0 Normal;}{\s3\b heading 2;}}{\info{\title The Harbour}{\author Ann}{\subject s}}"
        r"\pard\s3 Quays\par\pard text\par\pard\outlinelevel0 Top\par"
    )
    found = read(tmp_path, b"{\\rtf1 " + body.encode() + b"}", "a.rtf")
    assert found.text == "## Quays\n\ntext\n\n# Top"
    assert (found.title, found.metadata) == ("The Harbour", {"author": "Ann"})


def test_lists_tables_and_footnotes(tmp_path: Path) -> None:
    body = (
        r"{\listtext\'b7\tab}one\par{\listtext 2.\tab}two{\footnote \chftn A note.}\par"
        r"\trowd\intbl A\cell B\cell\row\trowd\intbl 1\par 2\cell 3\cell\row\pard after\par"
    )
    assert text_of(tmp_path, body) == (
        "- one\n2. two[^1]\n\n| A | B |\n| --- | --- |\n| 1 2 | 3 |\n\nafter\n\n[^1]: A note."
    )


def test_pictures_binary_data_and_unknown_destinations_are_skipped(tmp_path: Path) -> None:
    body = (
        r"{\pict\pngblip 89504e47}{\*\unknown secret}{\header page head}{\object{\*\objdata 00}}a"
        r"{\field{\*\fldinst HYPERLINK x}{\fldrslt link}}\bin3 }}}b{\*\shpinst{\shptxt boxed}}"
    )
    assert text_of(tmp_path, body) == "alinkbboxed"


@pytest.mark.parametrize(
    "data", [b"{\\rtf1", b"{\\rtf1 }}}}}", b"{\\rtf1\\'", b"{\\rtf1\\", b"{\\rtf1\\bin99999999 x"]
)
def test_a_file_that_is_cut_off_ends(tmp_path: Path, data: bytes) -> None:
    with pytest.raises((EmptyFile, BrokenFile)):
        read(tmp_path, data, "a.rtf")


def test_groups_nested_without_end_are_read(tmp_path: Path) -> None:
    assert text_of(tmp_path, "{" * 100_000 + "deep") == "deep"


def test_a_file_over_the_limit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rtf, "MAX_FILE_BYTES", 10)
    with pytest.raises(TooLarge):
        text_of(tmp_path, "more than ten bytes")
