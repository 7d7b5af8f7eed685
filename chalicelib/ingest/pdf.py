"""Text of PDF files, by PDFium. Native code that aborts on hostile files: only ever run in the sandbox.

PDFium opens, decrypts and reads; pypdf gives a second opinion where PDFium believes what a damaged file says
about itself. PDFium answers what a probe asks (pages, encryption, metadata) in 2 ms where pypdf takes 15 to
50, and 460 ms more to be imported: so pypdf is asked in doubt only.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

import msgspec
import pypdfium2
import pypdfium2.raw as pdfium

from chalicelib.errors import BrokenFile, PasswordRequired, TooLarge
from chalicelib.ingest.document import (
    MAX_TEXT_CHARACTERS,
    Extracted,
    ProgressCallback,
    Source,
    ignore_progress,
)
from chalicelib.ingest.filename import stem
from chalicelib.ingest.text import MAX_TITLE_CHARACTERS, clean, heading_like

# PDFium marks a hyphen at a line's end that only parts a word: U+0002 or U+FFFE by call; U+00AD is the
# author's.
_SOFT_HYPHEN = re.compile("[\x02\ufffe\xad](?:\r?\n)?")
_PAGE_NUMBER = re.compile(r"\W*(?:page\s+)?\d+(?:\s*(?:of|/)\s*\d+)?\W*\Z", re.I)
# Titles that programs write by themselves, and file names.
_NO_TITLE = re.compile(
    r"(?:untitled|unbenannt|title|document|presentation|powerpoint presentation|slide)[\s\d]*\Z"
    r"|.*\.(?:docx?|dvi|indd|odt|pdf|pptx?|ps|qxd|rtf|tex|txt|xlsx?)\Z|[\W\d_]*\Z|\S*[/\\]\S*\Z",
    re.I | re.S,
)
_TITLE_PREFIX = re.compile(r"(?:microsoft (?:word|powerpoint|excel) - )", re.I)
_DATE = re.compile(r"D:(\d{4})(\d{2})?(\d{2})?")
_METADATA: Final = {
    "Author": "author",
    "Subject": "subject",
    "Keywords": "keywords",
    "Creator": "creator",
    "Producer": "producer",
    "CreationDate": "created",
    "ModDate": "modified",
}
_MAX_METADATA_CHARACTERS: Final = 500
# The end-of-file marker lies within the last 1,024 bytes (ISO 32000-1, annex H, note 18).
_TAIL_BYTES: Final = 1024


class TextPages(msgspec.Struct, frozen=True, kw_only=True):
    """The text layer of a PDF, page by page. Page numbers start at 1."""

    # Text of every page, "" where there is none.
    texts: tuple[str, ...]
    # Pages that show something, but no text.
    without_text: tuple[int, ...] = ()
    # The title that the file states, whoever wrote it; may be empty.
    stated_title: str = ""
    metadata: dict[str, str] = {}
    # What went wrong, one sentence each, but for pages without text.
    warnings: tuple[str, ...] = ()


def parse(source: Source, *, on_progress: ProgressCallback = ignore_progress) -> Extracted:
    """Read a PDF page by page; progress counts pages.

    Raise PasswordRequired, BrokenFile (nothing can be recovered) or TooLarge (pages, text). A PDF without any
    text is no error here: `pages_without_text` says which pages to look at by OCR.
    """
    pages = read_pages(source, on_progress=on_progress)
    extracted = assembled(pages, source)
    if pages.without_text and extracted.text:
        scanned = f"{len(pages.without_text)} of {len(pages.texts)} pages hold no text: they look scanned."
        return msgspec.structs.replace(extracted, warnings=(*extracted.warnings, scanned))
    return extracted


def read_pages(source: Source, *, on_progress: ProgressCallback = ignore_progress) -> TextPages:
    """Read the text layer of a PDF; raise as `parse` does."""
    with closing(open_document(source)) as document:
        count, warnings = _page_count(document, source)
        pages = _Pages(document, count)
        pages.read(on_progress)
        given = {
            key: clean(value).strip() for key, value in document.get_metadata_dict(skip_empty=True).items()
        }
    if len(pages.unreadable) == count:
        raise BrokenFile(f"None of the PDF's {count} pages can be read.")
    return TextPages(
        texts=tuple(pages.texts),
        without_text=tuple(pages.without_text),
        stated_title=given.get("Title", ""),
        metadata=_metadata(given),
        warnings=(*warnings, *pages.warnings()),
    )


def assembled(pages: TextPages, source: Source) -> Extracted:
    """Return the document that `pages` make."""
    # Programs that make PDFs of pictures state the file's own name as the title.
    stated = "" if pages.stated_title == stem(source.filename) else pages.stated_title
    return Extracted(
        text="\n\n".join(text for text in pages.texts if text),
        title=_title(stated, pages.texts) or stem(source.filename),
        source_type="pdf",
        pages=len(pages.texts),
        pages_without_text=pages.without_text,
        metadata=pages.metadata,
        warnings=pages.warnings,
    )


def open_document(source: Source) -> pypdfium2.PdfDocument:
    """Open a PDF, with its password if there is one; raise PasswordRequired or BrokenFile."""
    try:
        return pypdfium2.PdfDocument(Path(source.path), password=source.password)
    except pypdfium2.PdfiumError as error:
        if error.err_code == pdfium.FPDF_ERR_PASSWORD:
            given = "The password is wrong" if source.password else "The PDF is encrypted"
            raise PasswordRequired(f"{given}: submit it again with its password.") from None
        if error.err_code == pdfium.FPDF_ERR_SECURITY:
            raise BrokenFile("The PDF is encrypted in a way that can't be read.") from None
        raise BrokenFile("The PDF is damaged beyond recovery: no page can be found in it.") from None


def _page_count(document: pypdfium2.PdfDocument, source: Source) -> tuple[int, tuple[str, ...]]:
    """Return (pages to read, warnings); raise TooLarge, or BrokenFile for a damaged page tree."""
    warnings: tuple[str, ...] = ()
    if not _has_end(Path(source.path)):
        warnings = ("The file's end is missing: pages may be missing too.",)
    count = len(document)
    if count > source.max_pages:
        # PDFium believes the number that the file states.
        count = _counted_pages(source)
    if count > source.max_pages:
        limit = source.max_pages
        raise TooLarge(f"The PDF has {count:,} pages; the limit is {limit:,}. Split it.", limit_pages=limit)
    return count, warnings


def _counted_pages(source: Source) -> int:
    """Return the number of pages that the page tree really holds."""
    # Imported here: 0.5 s for a case that hardly ever comes.
    from pypdf import PdfReader
    from pypdf.errors import LimitReachedError, PyPdfError

    try:
        return len(PdfReader(source.path, password=source.password).pages)
    except LimitReachedError:
        raise TooLarge(
            f"The PDF has far more pages than the limit of {source.max_pages:,}.",
            limit_pages=source.max_pages,
        ) from None
    except (PyPdfError, RecursionError) as error:
        raise BrokenFile(f"The PDF's page tree is damaged: {error}") from None


def _has_end(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
        return b"%%EOF" in file.read()


class _Pages:
    """The pages of one document, read one after the other. Page numbers start at 1."""

    def __init__(self, document: pypdfium2.PdfDocument, count: int) -> None:
        self._document = document
        self._count = count
        self._characters = 0
        # Text of every page, "" where there is none.
        self.texts: list[str] = []
        # Pages that show something, but no text.
        self.without_text: list[int] = []
        # Pages that PDFium could not load.
        self.unreadable: list[int] = []

    def read(self, on_progress: ProgressCallback) -> None:
        """Read all pages; raise TooLarge when their text outgrows the limit."""
        for number in range(1, self._count + 1):
            try:
                self.texts.append(self._text(number))
            except pypdfium2.PdfiumError:
                self.texts.append("")
                self.unreadable.append(number)
            on_progress(number, self._count, f"page {number} of {self._count}")

    def warnings(self) -> list[str]:
        """Return a sentence for each thing that went wrong."""
        found = []
        if self.unreadable:
            found.append(f"{len(self.unreadable)} of {self._count} pages are damaged and were left out.")
        return found

    def _text(self, number: int) -> str:
        with closing(self._document.get_page(number - 1)) as page, closing(page.get_textpage()) as textpage:
            self._characters += textpage.count_chars()
            if self._characters > MAX_TEXT_CHARACTERS:
                limit = MAX_TEXT_CHARACTERS // 1024**2
                raise TooLarge(
                    f"The PDF holds more than {limit} million characters of text.", limit_characters=limit
                )
            text = clean(_SOFT_HYPHEN.sub("", textpage.get_text_bounded())).strip()
            if not text and pdfium.FPDFPage_CountObjects(page) > 0:
                self.without_text.append(number)
            return text


def _title(stated: str, texts: Sequence[str]) -> str:
    """Return the stated title if a person wrote it, else the first line that looks like a heading, or ""."""
    stated = _TITLE_PREFIX.sub("", stated).strip()
    if len(stated) >= 3 and not _NO_TITLE.match(stated):
        return stated[:MAX_TITLE_CHARACTERS]
    first_page = next((text for text in texts if text), "")
    return heading_like(
        "\n".join(line for line in first_page.split("\n", 50) if not _PAGE_NUMBER.match(line))
    )


def _metadata(given: dict[str, str]) -> dict[str, str]:
    found = {name: given[key][:_MAX_METADATA_CHARACTERS] for key, name in _METADATA.items() if given.get(key)}
    for name in ("created", "modified"):
        date = _DATE.match(found.pop(name, ""))
        if date:
            found[name] = "-".join(part for part in date.groups() if part)
    return found
