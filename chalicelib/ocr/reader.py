"""The reader of pictures and of PDFs with scanned pages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from chalicelib import settings
from chalicelib.errors import BrokenFile, EmptyFile, PermanentError, TooLarge
from chalicelib.ingest import pdf
from chalicelib.ingest.document import MAX_TEXT_CHARACTERS, Extracted, Source
from chalicelib.ingest.filename import stem
from chalicelib.ingest.reading import Workplace
from chalicelib.ingest.sandbox import run_sandboxed
from chalicelib.ingest.text import MAX_TITLE_CHARACTERS, heading_like
from chalicelib.ocr import engine
from chalicelib.ocr.pagerun import PageResult, PageRun, sandbox_limits
from chalicelib.ocr.pages import Survey, survey
from chalicelib.ocr.programs import ProgramLimits, Programs
from chalicelib.ocr.recognition import Recogniser

# Page numbers named in a warning; more are counted only.
_NAMED_PAGES: Final = 10


def read(source: Source, place: Workplace) -> Extracted:
    """Read the text in a picture, or on the pages of a PDF that have no text layer.

    Raise EmptyFile where there is no text to be seen, TooLarge, BrokenFile, PasswordRequired, ParserCrashed,
    SettingsError (a language that is not installed) or Unavailable (no Tesseract); HandOver where the time is up
    before the pages are. What `place.on_progress` raises stops all work and goes to the caller.
    """
    return _read_pdf(source, place) if source.kind == "pdf" else _read_image(source, place)


def _read_image(source: Source, place: Workplace) -> Extracted:
    found = run_sandboxed(survey, source, result_type=Survey, limits=sandbox_limits(place))
    run = _recognised(source, place, range(1, found.pages + 1))
    texts = [run.results[page].text for page in sorted(run.results)]
    text = _joined(texts)
    if not text:
        raise _nothing(run, "No text was found in the picture.")
    title = heading_like(next(filter(None, texts)))
    return Extracted(
        text=text,
        title=title[:MAX_TITLE_CHARACTERS].strip() or stem(source.filename),
        source_type="image",
        pages=found.pages,
        pages_without_text=_without_text(run.results),
        metadata={"format": found.format, **_metadata(run.results)},
        warnings=(*found.warnings, *_warnings(run.results, found.pages)),
    )


def _read_pdf(source: Source, place: Workplace) -> Extracted:
    given = run_sandboxed(pdf.read_pages, source, result_type=pdf.TextPages, limits=sandbox_limits(place))
    run = _recognised(source, place, given.without_text)
    texts = list(given.texts)
    for page, result in run.results.items():
        texts[page - 1] = result.text
    if not _joined(texts):
        raise _nothing(run, "No text was found on the file's pages.")
    merged = msgspec.structs.replace(
        given,
        texts=tuple(texts),
        without_text=_without_text(run.results),
        metadata={**given.metadata, **_metadata(run.results)},
        warnings=(*given.warnings, *_warnings(run.results, len(texts))),
    )
    return pdf.assembled(merged, source)


def _recognised(source: Source, place: Workplace, pages: Iterable[int]) -> PageRun:
    """Return the finished run over `pages`."""
    programs = Programs(engine.ENVIRONMENT, ProgramLimits(seconds=place.limits.seconds))
    recogniser = Recogniser(engine.find(), settings.get().ocr_languages, programs)
    run = PageRun(source, place, recogniser, tuple(pages))
    run.work(stop=programs.close)
    return run


def _joined(texts: Iterable[str]) -> str:
    text = "\n\n".join(filter(None, texts))
    if len(text) > MAX_TEXT_CHARACTERS:
        limit = MAX_TEXT_CHARACTERS // 1024**2
        raise TooLarge(
            f"The file holds more than {limit} million characters of text.", limit_characters=limit
        )
    return text


def _without_text(results: Mapping[int, PageResult]) -> tuple[int, ...]:
    return tuple(sorted(page for page, result in results.items() if not result.text))


def _metadata(results: Mapping[int, PageResult]) -> dict[str, str]:
    """Return how many pages were read by text recognition, and how sure it was, weighted by the text's length."""
    read_pages = [result for result in results.values() if result.text]
    characters = sum(len(result.text) for result in read_pages)
    if not characters:
        return {}
    sure = sum(result.confidence * len(result.text) for result in read_pages) / characters
    return {"ocr_pages": str(len(read_pages)), "ocr_confidence": str(round(sure))}


def _warnings(results: Mapping[int, PageResult], pages: int) -> list[str]:
    """Return a sentence for what could not be read, and one for pages that hold no text."""
    failed = {page: result.problem for page, result in sorted(results.items()) if result.problem}
    silent = [page for page in _without_text(results) if page not in failed]
    found = []
    if failed:
        first = next(iter(failed.values()))
        found.append(f"{_named(list(failed), pages)} could not be read and are left out. The first: {first}")
    if silent:
        found.append(f"{_named(silent, pages)} hold no text that could be recognised.")
    return found


def _named(numbers: list[int], pages: int) -> str:
    """Return "2 of 6 pages (3, 5)"."""
    named = ", ".join(map(str, numbers[:_NAMED_PAGES])) + (", …" if len(numbers) > _NAMED_PAGES else "")
    return f"{len(numbers)} of {pages} pages ({named})"


def _nothing(run: PageRun, message: str) -> PermanentError:
    """Return why there is no text: what went wrong, where it went wrong on every page; else `message`."""
    problems = [result.problem for result in run.results.values()]
    if problems and all(problems):
        return run.first_error or BrokenFile(problems[0])
    return EmptyFile(message, pages=len(run.results))
