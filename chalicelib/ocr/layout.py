"""Recognised words to text: lines, paragraphs, tables, and how far they can be trusted."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Final

import msgspec

# A table without lines comes out column by column; as text it is of use row by row. What looks like one: at least
# so many rows, in which cells of at most so many words stand side by side in blocks of their own.
_TABLE_ROWS: Final = 4
_TABLE_SHARE: Final = 0.4
_CELL_WORDS: Final = 4.0

# A hyphen at a line's end, between two letters of which the second is small, only parts a word.
_PARTED = re.compile(r"(?<=[^\W\d_])-\n(?=[^\W\d_])")


class Word(msgspec.Struct, frozen=True, kw_only=True):
    """One word as Tesseract read it; lengths in pixels."""

    text: str
    # 0 to 100, Tesseract's own.
    confidence: float
    # Numbers of block, paragraph within it, and line within that.
    block: int
    paragraph: int
    line: int
    left: int
    top: int
    width: int
    height: int


def words_of(tsv: str) -> list[Word]:
    """Return the words in Tesseract's table of results (`tessedit_create_tsv`), in reading order.

    Its columns: level, page, block, paragraph, line, word, left, top, width, height, confidence, text.
    """
    words = []
    for row in tsv.split("\n"):
        columns = row.split("\t")
        if len(columns) != 12 or columns[0] != "5" or not columns[11].strip():
            continue
        _, _, block, paragraph, line, _, left, top, width, height = map(int, columns[:10])
        words.append(
            Word(
                text=columns[11].strip(),
                confidence=max(0.0, float(columns[10])),
                block=block,
                paragraph=paragraph,
                line=line,
                left=left,
                top=top,
                width=width,
                height=height,
            )
        )
    return words


def text_of(words: Sequence[Word]) -> str:
    """Return the words as text: a line a line, paragraphs parted by an empty line, parted words joined."""
    paragraphs = []
    for _, group in groupby(words, key=lambda word: (word.block, word.paragraph)):
        lines = groupby(group, key=lambda word: word.line)
        paragraphs.append("\n".join(" ".join(word.text for word in line) for _, line in lines))
    text = "\n\n".join(paragraphs)
    return _PARTED.sub(lambda found: "" if text[found.end()].islower() else "-\n", text)


def confidence_of(words: Iterable[Word]) -> float:
    """Return the mean confidence of `words`, 0 to 100, each counting by its letters; 0 where there are none."""
    letters = total = 0.0
    for word in words:
        letters += len(word.text)
        total += word.confidence * len(word.text)
    return total / letters if letters else 0.0


def trusted_letters(words: Iterable[Word]) -> float:
    """Return how many letters were read, each counting by its confidence."""
    return sum(word.confidence / 100 * len(word.text) for word in words)


def looks_like_table(words: Sequence[Word]) -> bool:
    """Say whether the words stand in rows of short cells that were read as columns."""
    rows = _rows(words)
    cells = [[word for _, group in groupby(row, key=_block) for word in [len(list(group))]] for row in rows]
    side_by_side = [row for row in cells if len(row) > 1]
    if len(side_by_side) < max(_TABLE_ROWS, _TABLE_SHARE * len(cells)):
        return False
    sizes = [size for row in side_by_side for size in row]
    return sum(sizes) / len(sizes) <= _CELL_WORDS


def _block(word: Word) -> int:
    return word.block


def _rows(words: Sequence[Word]) -> list[list[Word]]:
    """Return the words that stand at the same height, from left to right, whatever block they are in."""
    lines: dict[tuple[int, int, int], list[Word]] = defaultdict(list)
    for word in words:
        lines[word.block, word.paragraph, word.line].append(word)
    rows: list[list[Word]] = []
    bottom = -1.0
    for line in sorted(lines.values(), key=_middle):
        if not rows or _middle(line) > bottom:
            rows.append([])
            bottom = max(word.top + word.height for word in line)
        rows[-1].extend(line)
    return [sorted(row, key=lambda word: word.left) for row in rows]


def _middle(line: Sequence[Word]) -> float:
    return sum(word.top + word.height / 2 for word in line) / len(line)
