"""A file to text: finds the parser of its kind and runs it, in the sandbox."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, cast

from chalicelib import settings
from chalicelib.errors import EmptyFile
from chalicelib.ingest.confinement import Limits
from chalicelib.ingest.content import ContentType
from chalicelib.ingest.document import Extracted, ProgressCallback, Source, ignore_progress
from chalicelib.ingest.formats import Format, format_for
from chalicelib.ingest.reading import ExtractionLimits
from chalicelib.ingest.sandbox import run_sandboxed

__all__ = ["Extracted", "ExtractionLimits", "Parser", "extract", "limits_of"]


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
    """Return what the file at `path` says; `limits` default to the settings'.

    Raise UnsupportedType, EmptyFile, TooLarge, BrokenFile, PasswordRequired or ParserCrashed, all permanent.
    What `on_progress` raises stops the parser and goes to the caller.
    """
    limits = limits or limits_of(settings.get())
    row = format_for(content.kind)
    source = Source(
        path=str(path.resolve()),
        filename=filename,
        kind=content.kind,
        language=content.language,
        password=password,
        max_pages=limits.max_pages,
    )
    extracted = _run(row, source, on_progress, limits)
    if not extracted.text.strip():
        raise _empty(extracted)
    return extracted


def _run(row: Format, source: Source, on_progress: ProgressCallback, limits: ExtractionLimits) -> Extracted:
    # Loaded here, in the parent: a forked child then has the libraries already.
    parse = _parser(row)
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


def _parser(row: Format) -> Parser:
    module, _, function = (row.parser or "").partition(":")
    return cast(Parser, getattr(importlib.import_module(module), function))


def _empty(extracted: Extracted) -> EmptyFile:
    scanned = len(extracted.pages_without_text)
    if scanned:
        return EmptyFile(
            f"There is no text on the file's pages ({extracted.pages}): it looks like a scan, "
            "and text recognition (OCR) is not available here yet.",
            pages=extracted.pages,
            pages_without_text=scanned,
        )
    return EmptyFile("There is no text in the file.")
