"""Rich Text Format (RTF 1.9.1): text, headings, lists, tables and footnotes, by a tokenizer of our own.

The one small library for it keeps neither headings nor lists.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

from chalicelib.errors import TooLarge
from chalicelib.ingest.document import Extracted, ProgressCallback, Source, ignore_progress
from chalicelib.ingest.markdown import Blocks, heading, squeeze, table
from chalicelib.ingest.rtfwords import CHARSETS, COLLECTED, OPENED, SKIPPED, TEXTS
from chalicelib.ingest.text import clean
from chalicelib.ingest.titles import title_of

MB: Final = 1024 * 1024
# Pictures are written out in hexadecimal, so honest files are large.
MAX_FILE_BYTES: Final = 100 * MB
_TOKEN = re.compile(
    rb"\\([A-Za-z]{1,32})(-?\d{1,10})? ?|\\'([0-9A-Fa-f]{2})|\\([^A-Za-z])|([{}])|([^\\{}\r\n]+)|[\r\n]+|\\",
    re.S,
)
_HEADING_NAME = re.compile(r"\s*(?:heading|überschrift|titre) (\d)\b", re.I)


def parse(source: Source, *, on_progress: ProgressCallback = ignore_progress) -> Extracted:
    """Read an RTF file; progress has one step. Raise TooLarge (100 MB, or too much text)."""
    path = Path(source.path)
    if path.stat().st_size > MAX_FILE_BYTES:
        limit = MAX_FILE_BYTES // MB
        raise TooLarge(f"RTF files are read up to {limit} MB.", limit_mb=limit)
    reader = _Reader(path.read_bytes())
    text = reader.read()
    on_progress(1, 1, "read")
    author = reader.info.get("author")
    return Extracted(
        text=text,
        title=title_of(source, text, reader.info.get("title", "")),
        source_type="rtf",
        metadata={"author": author} if author else {},
    )


def rtf_text(data: bytes) -> str:
    """Return the RTF `data` as Markdown."""
    return _Reader(data).read() if data else ""


class _Group:
    """What holds between `{` and `}`; a copy of what holds around it."""

    __slots__ = ("encoding", "fallback", "name", "pieces")

    def __init__(self, pieces: list[str] | None, encoding: str, fallback: int, name: str = "") -> None:
        # Where its text goes; None: nowhere.
        self.pieces = pieces
        self.encoding = encoding
        # Characters after a \u that stand for it in old readers.
        self.fallback = fallback
        # Name of the destination that it opened, if any.
        self.name = name


class _Reader:
    """One pass over a file."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._blocks = Blocks()
        self._paragraph: list[str] = []
        self._group = _Group(self._paragraph, "cp1252", 1)
        self._stack: list[_Group] = []
        self._default = "cp1252"
        self._bytes = bytearray()
        self._to_skip = 0
        self._optional = False
        self._fonts: dict[int, str] = {}
        self._font = 0
        self._styles: dict[int, int] = {}
        self._style = 0
        # Of the paragraph: outline level, list marker, whether it is in a table.
        self._level = 0
        self._marker = ""
        self._in_table = False
        self._cells: list[str] = []
        self._rows: list[list[str]] = []
        self._notes: list[str] = []
        # "title" and "author".
        self.info: dict[str, str] = {}
        self._words: dict[str, Callable[[int], None]] = {
            "par": self._end_paragraph, "sect": self._end_paragraph, "page": self._end_paragraph,
            "cell": self._end_cell, "row": self._end_row, "nestcell": self._space, "nestrow": self._space,
            "pard": self._reset, "intbl": self._enter_table, "outlinelevel": self._set_level, "s": self._set_style,
            "u": self._unicode, "uc": self._set_fallback, "f": self._set_font, "fcharset": self._set_charset,
            "ansicpg": self._set_code_page,
        }  # fmt: skip

    def read(self) -> str:
        """Return the file as Markdown."""
        at = 0
        while at < len(self._data):
            match = _TOKEN.match(self._data, at)
            assert match is not None  # The pattern's alternatives cover every byte.
            at = match.end() + self._token(match)
        self._flush_bytes()
        self._end_paragraph(0)
        self._end_table()
        for number, note in enumerate(self._notes, 1):
            self._blocks.add(f"[^{number}]: {note}")
        return self._blocks.text()

    def _token(self, match: re.Match[bytes]) -> int:
        """Handle a token; return the number of raw bytes after it that are to be passed over."""
        word, number, code, symbol, brace, text = match.groups()
        if code or (text and not self._to_skip):
            self._raw(bytes([int(code, 16)]) if code else text)
            return 0
        self._flush_bytes()
        if text:
            self._raw(text)
        elif brace == b"{":
            self._open()
        elif brace == b"}":
            self._close()
        elif word == b"bin":
            return max(int(number or 0), 0)
        elif word:
            self._word(word.decode("ascii"), int(number) if number is not None else None)
        elif symbol:
            self._symbol(symbol.decode("latin-1"))
        return 0

    def _raw(self, data: bytes) -> None:
        """Take bytes of text; they are decoded together, as a character may take two."""
        passed = min(self._to_skip, len(data))
        self._to_skip -= passed
        if self._group.pieces is not None:
            self._bytes += data[passed:]

    def _flush_bytes(self) -> None:
        if self._bytes:
            self._emit(self._bytes.decode(self._group.encoding, "replace"))
            self._bytes.clear()

    def _emit(self, text: str) -> None:
        if self._group.pieces is not None:
            self._group.pieces.append(text)

    def _open(self) -> None:
        group = self._group
        self._stack.append(group)
        # Each style has a name of its own.
        pieces = [] if group.name == "stylesheet" else group.pieces
        self._group = _Group(pieces, group.encoding, group.fallback)
        self._to_skip = 0

    def _close(self) -> None:
        group = self._group
        self._to_skip = 0
        if self._stack:
            self._group = self._stack.pop()
        if group.pieces is not None and (group.name or self._group.name == "stylesheet"):
            self._collect(group)

    def _collect(self, group: _Group) -> None:
        text = squeeze(_joined(group.pieces or []))
        if self._group.name == "stylesheet":
            named = _HEADING_NAME.match(text)
            if named and int(named[1]):
                self._styles[self._style] = int(named[1])
            self._style = 0
        elif group.name == "footnote" and text:
            self._notes.append(text)
            self._emit(f"[^{len(self._notes)}]")
        elif group.name in ("listtext", "pntext"):
            digits = re.match(r"\(?(\d{1,4})", text)
            self._marker = f"{digits[1]}." if digits else "-"
        elif group.name in ("title", "author"):
            self.info[group.name] = clean(text)[:500]

    def _word(self, word: str, number: int | None) -> None:
        optional, self._optional = self._optional, False
        if self._to_skip:
            self._to_skip -= 1
        elif word in COLLECTED:
            self._group.name, self._group.pieces = word, []
        elif word in SKIPPED:
            self._group.pieces = None
        elif word in self._words and (self._group.pieces is not None or word in ("uc", "f")):
            self._words[word](number if number is not None else (1 if word == "uc" else 0))
        elif word in TEXTS:
            self._emit(TEXTS[word])
        elif optional and word not in OPENED:
            self._group.pieces = None

    def _symbol(self, symbol: str) -> None:
        if symbol == "*":
            self._optional = True
        elif self._to_skip:
            self._to_skip -= 1
        elif symbol in "\r\n":
            self._end_paragraph(0)
        elif symbol in TEXTS:
            self._emit(TEXTS[symbol])

    # --- Control words, each with its number ----------------------------------------------------------------

    def _unicode(self, number: int) -> None:
        self._emit(chr(number % 0x10000))
        self._to_skip = self._group.fallback

    def _set_fallback(self, number: int) -> None:
        self._group.fallback = min(max(number, 0), 16)

    def _set_font(self, number: int) -> None:
        self._font = number
        self._group.encoding = self._fonts.get(number, self._default)

    def _set_charset(self, number: int) -> None:
        self._fonts[self._font] = self._default if number in (0, 1) else CHARSETS.get(number, self._default)

    def _set_code_page(self, number: int) -> None:
        name = {65001: "utf-8", 10000: "mac_roman", 936: "gb18030"}.get(number, f"cp{number}")
        try:
            codecs.lookup(name)
        except LookupError:
            return
        self._default = self._group.encoding = name

    def _set_level(self, number: int) -> None:
        self._level = number + 1 if 0 <= number < 9 else 0

    def _set_style(self, number: int) -> None:
        if any(group.name == "stylesheet" for group in self._stack[-2:]):
            self._style = number
        else:
            self._level = self._styles.get(number, 0)

    def _reset(self, _: int) -> None:
        self._level, self._in_table = 0, False

    def _enter_table(self, _: int) -> None:
        self._in_table = True

    def _space(self, _: int) -> None:
        self._emit(" ")

    def _end_paragraph(self, _: int) -> None:
        if self._group.pieces is not self._paragraph and self._stack:
            self._emit("\n")
            return
        if self._in_table:
            self._paragraph.append(" ")
            return
        self._end_table()
        text = _joined(self._paragraph).strip()
        self._paragraph.clear()
        if self._level:
            self._blocks.add(heading(self._level, text))
        elif self._marker:
            self._blocks.add_item(self._marker, text)
        else:
            self._blocks.add(text)
        self._marker = ""

    def _end_cell(self, _: int) -> None:
        self._cells.append(_joined(self._paragraph))
        self._paragraph.clear()
        self._marker = ""

    def _end_row(self, _: int) -> None:
        self._rows.append(self._cells)
        self._cells, self._in_table = [], False

    def _end_table(self) -> None:
        if self._rows:
            self._blocks.add(table(self._rows))
            self._rows = []


def _joined(pieces: list[str]) -> str:
    """Return the pieces as one text, halves of a surrogate pair made one character."""
    return "".join(pieces).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
