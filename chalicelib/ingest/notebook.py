"""Jupyter notebooks (nbformat 3 and 4): text cells as they are, code and short outputs as code blocks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from chalicelib.errors import BrokenFile, TooLarge
from chalicelib.ingest.document import Extracted, ProgressCallback, Source, ignore_progress
from chalicelib.ingest.markdown import Blocks, fence, heading
from chalicelib.ingest.text import decode
from chalicelib.ingest.titles import title_of

MB: Final = 1024 * 1024
# Pictures lie in the JSON as base64.
MAX_FILE_BYTES: Final = 100 * MB
# Outputs longer than this are data: what follows is left out.
_MAX_OUTPUT_CHARACTERS: Final = 2000


def parse(source: Source, *, on_progress: ProgressCallback = ignore_progress) -> Extracted:
    """Read a notebook; progress counts cells. Raise TooLarge (100 MB) or BrokenFile (no notebook)."""
    path = Path(source.path)
    if path.stat().st_size > MAX_FILE_BYTES:
        limit = MAX_FILE_BYTES // MB
        raise TooLarge(f"Notebooks are read up to {limit} MB.", limit_mb=limit)
    book = _loaded(path.read_bytes())
    language = _language(book)
    cells = list(_cells(book))
    blocks = Blocks()
    for number, cell in enumerate(cells, 1):
        _add(cell, language, blocks)
        on_progress(number, len(cells), f"cell {number} of {len(cells)}")
    text = blocks.text()
    return Extracted(
        text=text,
        title=title_of(source, text, _text(_dict(book.get("metadata")).get("title"))),
        source_type="notebook",
        language=language or None,
    )


def _loaded(data: bytes) -> dict[str, Any]:
    try:
        book = json.loads(decode(data)[0])
    except (ValueError, RecursionError) as error:
        raise BrokenFile(f"The notebook is damaged: it is not JSON ({error}).") from None
    if not isinstance(book, dict) or not isinstance(book.get("cells", book.get("worksheets")), list):
        raise BrokenFile("The file is no notebook: it has no cells.")
    return book


def _language(book: dict[str, Any]) -> str:
    metadata = _dict(book.get("metadata"))
    return _text(
        _dict(metadata.get("language_info")).get("name") or _dict(metadata.get("kernelspec")).get("language")
    ).lower()


def _cells(book: dict[str, Any]) -> Iterator[dict[str, Any]]:
    sheets = [book] if "cells" in book else book["worksheets"]  # Version 3 had worksheets around the cells.
    for sheet in sheets:
        cells = _dict(sheet).get("cells")
        yield from (cell for cell in cells if isinstance(cell, dict)) if isinstance(cells, list) else ()


def _add(cell: dict[str, Any], language: str, blocks: Blocks) -> None:
    kind = cell.get("cell_type")
    content = _text(cell.get("source", cell.get("input")))
    if kind == "heading":
        blocks.add(heading(cell["level"] if isinstance(cell.get("level"), int) else 1, content))
    elif kind != "code":
        blocks.add(content)
    else:
        blocks.add(fence(content, language))
        outputs = cell.get("outputs")
        for output in outputs if isinstance(outputs, list) else ():
            blocks.add(fence(_shown(_dict(output))))


def _shown(output: dict[str, Any]) -> str:
    """Return the text of an output: printed, or the plain form of a value; "" for pictures and errors' traces."""
    if output.get("output_type") in ("error", "pyerr"):
        return f"{_text(output.get('ename'))}: {_text(output.get('evalue'))}"[:_MAX_OUTPUT_CHARACTERS]
    text = _text(output.get("text")) or _text(_dict(output.get("data")).get("text/plain"))
    left_out = len(text) - _MAX_OUTPUT_CHARACTERS
    return f"{text[:_MAX_OUTPUT_CHARACTERS]}\n… ({left_out:,} more characters)" if left_out > 0 else text


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    """Return a "multiline string" (nbformat: a string, or a list of lines) as text."""
    if isinstance(value, list):
        return "".join(item for item in value if isinstance(item, str))
    return value if isinstance(value, str) else ""
