"""Old Word documents, the whole way through the sandbox."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from chalicelib.errors import BrokenFile, UnsupportedType
from tests.documents import read
from tests.olefiles import ole


def doc(
    text: str,
    *,
    notes: str = "",
    headings: dict[int, int] | None = None,
    wide: bool = False,
    version: int = 193,
) -> bytes:
    """Return a Word 97 document; `headings` gives the style number of paragraphs (0 is the first)."""
    whole = text + notes
    data = whole.encode("utf-16-le" if wide else "cp1252")
    start, page = 1024, 1024 + -(-len(data) // 512) * 512
    main = bytearray(page + 512)
    struct.pack_into("<HH", main, 0, 0xA5EC, version)
    struct.pack_into("<ii", main, 0x4C, len(text), len(notes))
    main[start : start + len(data)] = data
    # One page of paragraph formatting: ends, then for each the place of its style number.
    width = 2 if wide else 1
    ends = [start + (at + 1) * width for at, character in enumerate(whole) if character == "\r"]
    struct.pack_into(f"<{len(ends) + 1}I", main, page, start, *ends)
    for number in range(len(ends)):
        place = 400 + 4 * number
        main[page + 4 * (len(ends) + 1) + 13 * number] = place // 2
        main[page + place] = 2
        struct.pack_into("<H", main, page + place + 1, (headings or {}).get(number, 0))
    main[page + 511] = len(ends)
    where = start if wide else (start * 2) | 0x40000000
    pieces = struct.pack("<II", 0, len(whole)) + struct.pack("<HIH", 0, where, 0)
    clx = b"\x01\x02\x00??" + b"\x02" + struct.pack("<I", len(pieces)) + pieces
    papx = struct.pack("<III", start, start + len(data), page // 512)
    struct.pack_into("<II", main, 0x01A2, 0, len(clx))
    struct.pack_into("<II", main, 0x0102, len(clx), len(papx))
    return ole({"WordDocument": bytes(main), "0Table": clx + papx})


@pytest.mark.parametrize("wide", [False, True])
def test_text_headings_and_notes_are_read(tmp_path: Path, wide: bool) -> None:
    data = doc("Harbours\rQuays and “more”.\x02\r", notes="\x02A note.\r", headings={0: 1}, wide=wide)
    found = read(tmp_path, data, "a.doc")
    assert found.text == "# Harbours\n\nQuays and “more”.\n\nA note."
    assert (found.title, found.source_type) == ("Harbours", "doc")


def test_tables_and_fields_are_read(tmp_path: Path) -> None:
    text = "A\x07B\x07\x071\x07two\x07\x07See \x13 HYPERLINK x \x14here\x15.\r"
    assert read(tmp_path, doc(text), "a.doc").text == "| A | B |\n| --- | --- |\n| 1 | two |\n\nSee here."


def test_the_name_is_no_matter(tmp_path: Path) -> None:
    assert read(tmp_path, doc("Text\r"), "a.msg").source_type == "doc"


def test_word_95_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedType, match="Word 95"):
        read(tmp_path, doc("x\r", version=104), "a.doc")


@pytest.mark.parametrize(
    "streams",
    [
        {"WordDocument": b"x"},
        {"WordDocument": bytes(2000), "0Table": b""},
        {"WordDocument": struct.pack("<HH", 0xA5EC, 193) + bytes(2000)},
        {"WordDocument": struct.pack("<HH", 0xA5EC, 193) + bytes(2000), "0Table": b"\x02\xff\xff\xff\x7f"},
        {"WordDocument": struct.pack("<HH", 0xA5EC, 193) + b"\xff" * 2000, "1Table": b"\x02\0\0\0\0"},
    ],
)
def test_tables_that_point_nowhere_are_broken(tmp_path: Path, streams: dict[str, bytes]) -> None:
    with pytest.raises(BrokenFile):
        read(tmp_path, ole(streams), "a.doc")
