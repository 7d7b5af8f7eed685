"""A file to text: finds the parser of its kind and runs it in the sandbox, or its reader."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, cast

from chalicelib import settings
from chalicelib.errors import EmptyFile, UnsupportedType
from chalicelib.ingest.confinement import Limits
from chalicelib.ingest.content import ContentType
from chalicelib.ingest.document import Extracted, ProgressCallback, Source, ignore_progress
from chalicelib.ingest.formats import Format, format_for
from chalicelib.ingest.reading import ExtractionLimits, Reader, Workplace
from chalicelib.ingest.sandbox import run_sandboxed

__all__ = ["Extracted", "ExtractionLimits", "Parser", "extract", "limits_of", "no_text", "read", "source_of"]


class Parser(Protocol):
    """The one function of a format's module."""

    def __call__(self, source: Source, *, on_progress: ProgressCallback) -> Extracted:
        """Read `source`; raise a PermanentError that says what is wrong with it."""


def limits_of(given: settings.Settings) -> ExtractionLimits:
    """Return the limits that the settings state."""
    return ExtractionLimits(
        memory_bytes=given.parser_memory_bytes, seconds=given.parser_seconds, max_pages=given.max_pdf_pages
    )


def extract(
    path: Path,
    *,
    content: ContentType,
    filename: str,
    password: str | None = None,
    on_progress: ProgressCallback = ignore_progress,
    limits: ExtractionLimits | None = None,
) -> Extracted:
    """Return what the file at `path` says, where a parser can tell; `limits` default to the settings'.

    Raise UnsupportedType, EmptyFile, TooLarge, BrokenFile, PasswordRequired or ParserCrashed, all permanent.
    What `on_progress` raises stops the parser and goes to the caller.
    """
    limits = limits or limits_of(settings.get())
    row = format_for(content.kind)
    source = source_of(path, content=content, filename=filename, password=password, limits=limits)
    return _with_text(_parse(row, source, on_progress, limits))


def read(source: Source, place: Workplace, *, scans: bool) -> Extracted:
    """Return what a file says, by its reader where it has one; `scans`: pages without text are to be recognised.

    Raise what `extract` raises, what a reader raises, and HandOver: the file is for another queue, or not done.
    """
    row = format_for(source.kind)
    reader = (row.scan_reader if scans else None) or row.reader
    if reader is None:
        return _parse(row, source, place.on_progress, place.limits)
    return _with_text(cast(Reader, _load(reader))(source, place))


def source_of(
    path: Path, *, content: ContentType, filename: str, password: str | None, limits: ExtractionLimits
) -> Source:
    """Return what a parser or reader is told of the file at `path`."""
    return Source(
        path=str(path.resolve()),
        filename=filename,
        kind=content.kind,
        language=content.language,
        password=password,
        max_pages=limits.max_pages,
    )


def _with_text(extracted: Extracted) -> Extracted:
    if extracted.blank:
        raise no_text(extracted)
    return extracted


def _parse(row: Format, source: Source, on_progress: ProgressCallback, limits: ExtractionLimits) -> Extracted:
    if row.parser is None:
        raise UnsupportedType(f"This file is {row.label}, which is read on another queue.", kind=row.kind)
    # Loaded here, in the parent: a forked child then has the libraries already.
    parse = cast(Parser, _load(row.parser))
    if Path(source.path).stat().st_size <= row.inline_bytes:
        # Safe without a child: these parsers are codecs and linear scans in Python, over a few hundred KB. It
        # saves the fork, which costs more than the work.
        return parse(source, on_progress=on_progress)
    return run_sandboxed(
        cast(Callable[..., object], parse),
        source,
        result_type=Extracted,
        limits=Limits(memory_bytes=limits.memory_bytes, seconds=limits.seconds),
        on_progress=on_progress,
    )


def _load(target: str) -> object:
    """Import "module:function"."""
    module, _, function = target.partition(":")
    return getattr(importlib.import_module(module), function)


def no_text(extracted: Extracted) -> EmptyFile:
    """Return the error for a file in which nothing is to be read."""
    scanned = len(extracted.pages_without_text)
    if scanned:
        return EmptyFile(
            f"There is no text on the file's pages ({extracted.pages}): it looks like a scan, "
            "and text recognition (OCR) is not available.",
            pages=extracted.pages,
            pages_without_text=scanned,
        )
    return EmptyFile("There is no text in the file.")
