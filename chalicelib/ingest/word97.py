"""Old Word documents (doc, Word 97 to 2003): the text by its piece table, headings by paragraph styles.

Figures and offsets are those of [MS-DOC]: the FIB (2.5), the Clx (2.9.38) and PlcBtePapx (2.8.5). Field codes and
hidden reviewers' comments are left out; notes and text boxes follow the text.
"""

from __future__ import annotations

import re
import struct
from bisect import bisect_left, bisect_right
from typing import Any, Final

import msgspec
import olefile

from chalicelib.errors import BrokenFile, UnsupportedType
from chalicelib.ingest.document import Extracted, Source
from chalicelib.ingest.markdown import Blocks, heading, table
from chalicelib.ingest.oleproperties import properties
from chalicelib.ingest.titles import title_of

_MAGIC: Final = 0xA5EC
# nFib of Word 97, the first with this layout.
_WORD97: Final = 0x00C1
_TABLE_FLAG: Final = 0x0200  # fWhichTblStm: the table stream is "1Table".
_COMPRESSED: Final = 0x40000000
_FKP_BYTES: Final = 512
# Numbers of characters of the sub-documents, in their order in the text (2.5.4): main text, footnotes,
# headers, comments, endnotes, text boxes.
_COUNTS: Final = struct.Struct("<3i4x3i")
_COUNTS_AT: Final = 0x4C
_PAPX_AT, _CLX_AT = 0x0102, 0x01A2
# Field begin, separator, end: what stands between begin and separator is code.
_FIELD = re.compile("\x13[^\x13\x14\x15]*(?:\x14([^\x13\x14\x15]*))?\x15")
_SPECIAL: Final = str.maketrans(
    {"\x0b": "\n", "\x1e": "-", "\x0c": "\n", **dict.fromkeys("\x01\x02\x05\x08\x1f")}
)
_HEADING_STYLES: Final = range(1, 10)  # Their places among the styles are fixed (2.9.271).


class _Piece(msgspec.Struct, frozen=True, kw_only=True):
    """A run of text as it lies in the file."""

    # First character position, and the one after the last.
    start: int
    end: int
    # Offset in the stream "WordDocument", in bytes, and bytes for each character (1: Windows-1252, 2: UTF-16).
    offset: int
    width: int


def read(ole: olefile.OleFileIO[Any], source: Source) -> Extracted:
    """Return what the Word document in an open OLE file says.

    Raise BrokenFile, or UnsupportedType for Word 95 and older.
    """
    try:
        document = _Document(ole)
        blocks = document.blocks()
    except (struct.error, IndexError) as error:
        raise BrokenFile(f"The Word document is damaged: its tables point nowhere ({error}).") from None
    metadata = properties(ole)
    text = blocks.text()
    return Extracted(
        text=text,
        title=title_of(source, text, metadata.pop("title", "")),
        source_type="doc",
        metadata=metadata,
    )


class _Document:
    """The streams of one document."""

    def __init__(self, ole: olefile.OleFileIO[Any]) -> None:
        self._main = bytes(ole.openstream("WordDocument").read())
        magic, version = struct.unpack_from("<HH", self._main)
        if magic != _MAGIC:
            raise BrokenFile("The Word document is damaged: its header is not that of a document.")
        if version < _WORD97:
            raise UnsupportedType("This is a document of Word 95 or older: save it as docx.", kind="doc")
        flags = struct.unpack_from("<H", self._main, 0x0A)[0]
        name = "1Table" if flags & _TABLE_FLAG else "0Table"
        if not ole.exists(name):
            raise BrokenFile("The Word document is damaged: its table stream is missing.")
        self._table = bytes(ole.openstream(name).read())
        self._pieces = self._read_pieces()
        self._starts = [piece.start for piece in self._pieces]
        self._ends, self._styles = self._read_styles()

    def blocks(self) -> Blocks:
        """Return the document as blocks: main text, then footnotes, endnotes and text boxes."""
        main, footnotes, headers, comments, endnotes, boxes = _COUNTS.unpack_from(self._main, _COUNTS_AT)
        text = "".join(map(self._text, self._pieces))
        blocks = Blocks()
        self._write(text[:main], 0, blocks)
        at = main
        for count, is_shown in ((footnotes, 1), (headers, 0), (comments, 0), (endnotes, 1), (boxes, 1)):
            count = max(count, 0)
            if is_shown:
                self._write(text[at : at + count], at, blocks)
            at += count
        return blocks

    def _read_pieces(self) -> list[_Piece]:
        offset, size = struct.unpack_from("<II", self._main, _CLX_AT)
        clx = self._table[offset : offset + size]
        at = 0
        while clx[at] == 1:  # A Prc: formatting.
            at += 3 + struct.unpack_from("<H", clx, at + 1)[0]
        if clx[at] != 2:
            raise BrokenFile("The Word document is damaged: its piece table is missing.")
        size = struct.unpack_from("<I", clx, at + 1)[0]
        count = (size - 4) // 12
        if count < 0 or len(clx) < at + 5 + size:
            raise BrokenFile("The Word document is damaged: its piece table is cut off.")
        positions = struct.unpack_from(f"<{count + 1}I", clx, at + 5)
        first = at + 5 + 4 * (count + 1)
        return [
            _piece(
                positions[number],
                positions[number + 1],
                struct.unpack_from("<2xI2x", clx, first + 8 * number)[0],
            )
            for number in range(count)
        ]

    def _text(self, piece: _Piece) -> str:
        count = max(piece.end - piece.start, 0)
        data = self._main[piece.offset : piece.offset + count * piece.width]
        text = data.decode("cp1252" if piece.width == 1 else "utf-16-le", "replace")
        # A position is a 16-bit unit: characters beyond them would shift all that follows. Damage is made up for too.
        return text.ljust(count) if len(text) <= count else text[:count]

    def _read_styles(self) -> tuple[list[int], list[int]]:
        """Return the file offsets at which paragraphs end, ascending, and the number of the style of each."""
        offset, size = struct.unpack_from("<II", self._main, _PAPX_AT)
        count = max((size - 4) // 8, 0)
        pages = struct.unpack_from(f"<{count}I", self._table, offset + 4 * (count + 1))
        found: list[tuple[int, int]] = []
        for number in pages:
            found += _page_styles(self._main[(number & 0x3FFFFF) * _FKP_BYTES :][:_FKP_BYTES])
        found.sort()
        return [end for end, _ in found], [style for _, style in found]

    def _style(self, position: int) -> int:
        """Return the number of the style of the paragraph that ends with the character at `position`."""
        piece = self._pieces[bisect_right(self._starts, position) - 1]
        end = piece.offset + (position - piece.start + 1) * piece.width
        at = bisect_left(self._ends, end)
        return self._styles[at] if at < len(self._styles) else 0

    def _write(self, text: str, start: int, blocks: Blocks) -> None:
        cells: list[str] = []
        rows: list[list[str]] = []
        row: list[str] = []
        for match in re.finditer("([^\r\x07]*)([\r\x07])|[^\r\x07]+", text):
            shown = _shown(match[1] if match[2] else match[0])
            if match[2] == "\x07":
                if not shown and not cells and row:
                    rows.append(row)  # A cell mark right after another ends the row.
                    row = []
                else:
                    row.append(" ".join([*cells, shown]))
                cells = []
            elif row:
                cells.append(shown)
            else:
                blocks.add(table(rows))
                rows = []
                style = self._style(start + match.end() - 1)
                blocks.add(heading(style, shown) if style in _HEADING_STYLES else shown)
        blocks.add(table([*rows, row]))


def _piece(start: int, end: int, where: int) -> _Piece:
    if where & _COMPRESSED:
        return _Piece(start=start, end=end, offset=(where & 0x3FFFFFFF) // 2, width=1)
    return _Piece(start=start, end=end, offset=where & 0x3FFFFFFF, width=2)


def _page_styles(page: bytes) -> list[tuple[int, int]]:
    """Return (end offset, style number) of the paragraphs on one page of formatting (PapxFkp, 2.9.177)."""
    if len(page) < _FKP_BYTES:
        return []
    count = page[-1]
    ends = struct.unpack_from(f"<{count + 1}I", page)[1:]
    found = []
    for number, end in enumerate(ends):
        at = page[4 * (count + 1) + 13 * number] * 2
        # One byte of length, or a zero and then the length.
        at += 1 if page[at] else 2
        found.append((end, struct.unpack_from("<H", page, at)[0] if 2 < at < _FKP_BYTES - 2 else 0))
    return found


def _shown(text: str) -> str:
    """Return text without field codes and marks of pictures, notes and drawings."""
    before = None
    while before != text:
        before, text = text, _FIELD.sub(lambda match: match[1] or "", text)
    return text.translate(_SPECIAL).strip()
