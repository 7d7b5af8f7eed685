"""Delimited tables (csv, tsv): small ones as a pipe table, large ones as the text that they are."""

from __future__ import annotations

import csv
import io
from typing import Final

from chalicelib.ingest import text
from chalicelib.ingest.document import Extracted, ProgressCallback, Source, ignore_progress
from chalicelib.ingest.filename import extension
from chalicelib.ingest.markdown import table

MAX_ROWS: Final = 2000
MAX_COLUMNS: Final = 100
_DELIMITERS: Final = ",;\t|"
# Lines that the delimiter is guessed from.
_SAMPLE_LINES: Final = 50
# A field may be as long as a cell in a spreadsheet.
_MAX_FIELD_CHARACTERS: Final = 128 * 1024


def parse(source: Source, *, on_progress: ProgressCallback = ignore_progress) -> Extracted:
    """Read a table of up to 2,000 rows and 100 columns as Markdown, a larger one as plain text.

    Metadata: encoding, delimiter, rows, columns. Raise TooLarge or BrokenFile as `text.parse` does.
    """
    plain = text.parse(source, on_progress=on_progress)
    delimiter = _delimiter(plain.text, source.filename)
    rows = _rows(plain.text, delimiter)
    if not rows:
        return plain
    columns = max(map(len, rows))
    metadata = {
        **plain.metadata,
        "delimiter": "tab" if delimiter == "\t" else delimiter,
        "rows": str(len(rows)),
        "columns": str(columns),
    }
    shown = table(rows) if len(rows) <= MAX_ROWS and 1 < columns <= MAX_COLUMNS else plain.text
    return Extracted(
        text=shown,
        title=plain.title,
        source_type="csv",
        metadata=metadata,
        warnings=plain.warnings,
    )


def _delimiter(content: str, filename: str) -> str:
    """Return the delimiter that parts the first lines into the same number of fields, and into the most."""
    lines = [line for line in content.split("\n", _SAMPLE_LINES)[:_SAMPLE_LINES] if line.strip()]
    preferred = "\t" if extension(filename) in (".tsv", ".tab") else ","
    best, best_score = preferred, (0.0, 0, False)
    for delimiter in _DELIMITERS:
        counts = [len(row) for row in _rows("\n".join(lines), delimiter)]
        usual = max(counts, key=counts.count, default=1)
        if usual > 1:
            score = (counts.count(usual) / len(counts), usual, delimiter == preferred)
            if score > best_score:
                best, best_score = delimiter, score
    return best


def _rows(content: str, delimiter: str) -> list[list[str]]:
    """Return the rows that are not blank; [] for a text whose quotes are in disorder."""
    csv.field_size_limit(_MAX_FIELD_CHARACTERS)
    try:
        return [
            row for row in csv.reader(io.StringIO(content), delimiter=delimiter) if any(map(str.strip, row))
        ]
    except csv.Error:
        return []
