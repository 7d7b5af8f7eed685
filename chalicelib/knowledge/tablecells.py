"""Tables in a text: what comes once in a column of many rows is data, not a subject.

Every format's tables are Markdown's here. "Sheryl" in a list of customers names a row; "web framework", which comes
again and again, or "Redis", which the lexicon has, tell what the table is about. Headings and sentences stay.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Final

from chalicelib.knowledge.lexicon import lexicon

# A table of fewer rows is read like prose.
LEAST_ROWS: Final = 5
# A cell of more words is a sentence.
_MOST_WORDS: Final = 4

_TABLE: Final = re.compile(r"^(\|[^\n]*\n\|(?: ?:?-+:? ?\|)+[ \t]*\n)((?:\|[^\n]*(?:\n|\Z))+)", re.MULTILINE)


def without_data(text: str) -> str:
    """Return a text without the cells of its tables that are data. Rows stay rows."""
    return _TABLE.sub(_reduced, text)


def _reduced(table: re.Match[str]) -> str:
    heading, body = table.groups()
    rows = [row.strip("| \t").split("|") for row in body.splitlines()]
    if len(rows) < LEAST_ROWS:
        return table[0]
    counts = Counter(cell.strip() for row in rows for cell in row)
    kept = (" | ".join(_cell(cell.strip(), counts) for cell in row) for row in rows)
    return heading + "".join(f"| {row} |\n" for row in kept)


def _cell(cell: str, counts: Counter[str]) -> str:
    words = cell.split()
    if counts[cell] > 1 or len(words) > _MOST_WORDS or lexicon().find(words, technical=True):
        return cell
    return ""
