"""Markdown from parts of documents: headings, lists, tables; and the count that keeps a text within its limit."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from chalicelib.errors import TooLarge
from chalicelib.ingest.document import MAX_TEXT_CHARACTERS
from chalicelib.ingest.text import clean

_SPACES = re.compile(r"\s+")
_BLANK_LINES = re.compile(r"[ \t]+\n|\n{3,}")
_MAX_LEVEL: Final = 6
# A nested item's indent: enough for "- " and "1. ", too little to make it code.
_INDENT: Final = "   "


class Blocks:
    """Blocks of a document in their order. Raises TooLarge when their text outgrows the limit."""

    def __init__(self) -> None:
        self._blocks: list[str] = []
        self._characters = 0

    def add(self, block: str) -> None:
        """Append a paragraph, heading or table; nothing for a blank one."""
        block = block.strip("\n").rstrip()
        if not block.strip():
            return
        self._count(block)
        self._blocks.append(block)

    def add_item(self, marker: str, text: str, level: int = 0) -> None:
        """Append a list item, on the line below an item before it. `marker` is "-" or "1."."""
        text = squeeze(text)
        if not text:
            return
        item = f"{_INDENT * min(level, 8)}{marker} {text}"
        self._count(item)
        if self._blocks and is_item(self._blocks[-1]):
            self._blocks[-1] += "\n" + item
        else:
            self._blocks.append(item)

    def extend(self, other: Blocks) -> None:
        """Append all blocks of `other`."""
        for block in other._blocks:
            self.add(block)

    def __len__(self) -> int:
        return len(self._blocks)

    @property
    def characters(self) -> int:
        """Return the number of characters so far."""
        return self._characters

    def text(self) -> str:
        """Return the whole text, clean, its blocks parted by an empty line."""
        return clean("\n\n".join(self._blocks)).strip("\n")

    def _count(self, block: str) -> None:
        self._characters += len(block)
        if self._characters > MAX_TEXT_CHARACTERS:
            raise too_much_text()


def too_much_text() -> TooLarge:
    """Return the error for a document whose text outgrows the limit."""
    limit = MAX_TEXT_CHARACTERS // 1024**2
    return TooLarge(f"The file holds more than {limit} million characters of text.", limit_characters=limit)


def is_item(block: str) -> bool:
    """Say whether a block is a list."""
    return re.match(r" *(?:-|\d+\.) ", block) is not None


def squeeze(text: str) -> str:
    """Return `text` on one line, with single blanks."""
    return _SPACES.sub(" ", text).strip()


def tidy(text: str) -> str:
    """Return `text` without blanks at line ends and with at most one empty line in a row."""
    return _BLANK_LINES.sub(lambda match: "\n" if match[0][0] in " \t" else "\n\n", text).strip("\n")


def heading(level: int, text: str) -> str:
    """Return a heading of `level` 1 to 6 (deeper ones are 6), or "" for a blank text."""
    text = squeeze(text)
    return f"{'#' * min(max(level, 1), _MAX_LEVEL)} {text}" if text else ""


def table(rows: Iterable[Sequence[str]]) -> str:
    """Return a pipe table whose head is the first row; empty rows and outer columns are left out.

    One column is no table: its cells become paragraphs.
    """
    cells = [[squeeze(cell).replace("|", "\\|") for cell in row] for row in rows]
    filled = [row for row in cells if any(row)]
    if not filled:
        return ""
    width = max(_last(row) for row in filled) + 1
    first = min(next(at for at, cell in enumerate(row) if cell) for row in filled)
    if width - first == 1:
        return "\n\n".join(row[first].replace("\\|", "|") for row in filled)
    lines = [_line(row, first, width) for row in filled]
    lines.insert(1, "|" + " --- |" * (width - first))
    return "\n".join(lines)


def fence(text: str, language: str = "") -> str:
    """Return `text` as a code block, its fence longer than any in the text."""
    longest = max((len(run) for run in re.findall(r"`{3,}", text)), default=2)
    mark = "`" * (longest + 1)
    body = text.strip("\n")
    return f"{mark}{language}\n{body}\n{mark}" if body.strip() else ""


def _last(row: Sequence[str]) -> int:
    return max(at for at, cell in enumerate(row) if cell)


def _line(row: Sequence[str], first: int, width: int) -> str:
    cells = [*row[first:width], *[""] * (width - max(len(row), first))]
    return "| " + " | ".join(cells) + " |"
