"""Spreadsheets (xlsx, xls, ods) by calamine, a native reader: only ever run in the sandbox."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from typing import Any, Final

import python_calamine as calamine

from chalicelib.errors import BrokenFile, PasswordRequired
from chalicelib.ingest.document import (
    MAX_TEXT_CHARACTERS,
    Extracted,
    ProgressCallback,
    Source,
    ignore_progress,
)
from chalicelib.ingest.filename import stem
from chalicelib.ingest.markdown import Blocks, heading, table, too_much_text
from chalicelib.ingest.officefiles import opened
from chalicelib.ingest.opendocument import refuse_encrypted
from chalicelib.ingest.packages import Package
from chalicelib.ingest.titles import stated_title
from chalicelib.ingest.xmlparts import core_metadata

_PACKAGES: Final = frozenset({"xlsx", "ods"})


def parse(source: Source, *, on_progress: ProgressCallback = ignore_progress) -> Extracted:
    """Read a workbook; progress counts sheets. Each sheet is a heading and a table of the values shown.

    Dates are ISO 8601, formulas are their last result, empty rows and outer columns are left out. Raise
    PasswordRequired, BrokenFile or TooLarge.
    """
    metadata: dict[str, str] = {}
    with opened(source) as file:
        if source.kind in _PACKAGES:
            with Package(file) as package:
                metadata = _looked_at(package, source)
            file.seek(0)
        try:
            with calamine.CalamineWorkbook.from_filelike(file) as book:
                blocks, warnings = _read(book, on_progress)
        except calamine.PasswordError:
            raise PasswordRequired("The file is encrypted: submit it again with its password.") from None
        except calamine.CalamineError as error:
            raise BrokenFile(f"The workbook is damaged: {error}") from None
    return Extracted(
        text=blocks.text(),
        title=stated_title(metadata.pop("title", "")) or stem(source.filename),
        source_type=source.kind,
        metadata=metadata,
        warnings=tuple(warnings),
    )


def _looked_at(package: Package, source: Source) -> dict[str, str]:
    """Refuse what must not reach the reader, which believes what the file declares; return the metadata."""
    package.verify()
    if source.kind == "ods":
        refuse_encrypted(package)
        return {}
    return core_metadata(package)


def _read(book: calamine.CalamineWorkbook, on_progress: ProgressCallback) -> tuple[Blocks, list[str]]:
    blocks, warnings = Blocks(), []
    sheets = [sheet.name for sheet in book.sheets_metadata if sheet.typ == calamine.SheetTypeEnum.WorkSheet]
    for number, name in enumerate(sheets, 1):
        try:
            text = table(_rows(book.get_sheet_by_name(name)))
        except (calamine.XmlError, calamine.WorksheetNotFound) as error:
            warnings.append(f"The sheet {name!r} is damaged and was left out: {error}")
            text = ""
        if text:
            blocks.add(heading(2, name))
            blocks.add(text)
        on_progress(number, len(sheets), f"sheet {number} of {len(sheets)}")
    if sheets and len(warnings) == len(sheets):
        raise BrokenFile("The workbook is damaged: none of its sheets can be read.")
    return blocks, warnings


def _rows(sheet: calamine.CalamineSheet) -> Iterator[Sequence[str]]:
    characters = 0
    for row in sheet.iter_rows():
        cells = [_shown(value) for value in row]
        characters += sum(map(len, cells))
        if characters > MAX_TEXT_CHARACTERS:
            raise too_much_text()
        if any(cells):
            yield cells


def _shown(value: Any) -> str:
    """Return a cell's value as text: ISO dates, whole numbers without a fraction."""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, datetime.datetime):
        midnight = value.time() == datetime.time()
        return value.date().isoformat() if midnight else value.isoformat(sep=" ", timespec="seconds")
    return str(value)
