"""The formats: one row each, that says who reads a kind of file and on which queue."""

from __future__ import annotations

from typing import Final

import msgspec

from chalicelib.errors import EmptyFile, UnsupportedType

KB: Final = 1024
# Queues whose functions have the parsers, recognise text in pictures, and listen.
UPLOADS: Final = "uploads"
SCANS: Final = "uploads-ocr"
MEDIA: Final = "uploads-media"


class Format(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of file. Without a parser it is known by name only, so that an error can name it."""

    # Kind by content, as `content.sniff` gives it.
    kind: str
    # What people call it, with its article: "a PDF".
    label: str
    # What it is one of, in the list of what is taken; empty: nothing that people would name.
    family: str = ""
    # Queue whose function has the parser's libraries.
    queue: str = UPLOADS
    # "module:function" of the parser (`extraction.Parser`), or None.
    parser: str | None = None
    # "module:function" of the reader (`reading.Reader`), where it takes more than a parser.
    reader: str | None = None
    # "module:function" of the reader for files whose pages hold no text, on the queue `SCANS`.
    scan_reader: str | None = None
    # Files of at most this many bytes are parsed in the caller's process: only for parsers that do nothing
    # with the bytes but decode them, in time and memory proportional to their number, and without native
    # parsers.
    inline_bytes: int = 0
    # The files in it become documents of their own (`tasks.archive`): it has no text itself.
    is_archive: bool = False

    @property
    def readable(self) -> bool:
        """Whether anything here reads files of this kind."""
        return self.parser is not None or self.reader is not None or self.is_archive


_TEXT_PARSER: Final = "chalicelib.ingest.text:parse"
_SPEECH_READER: Final = "chalicelib.media.reader:read"

FORMATS: Final = {
    row.kind: row
    for row in (
        Format(kind="text", label="plain text", family="text", parser=_TEXT_PARSER, inline_bytes=256 * KB),
        Format(
            kind="markdown", label="Markdown", family="Markdown", parser=_TEXT_PARSER, inline_bytes=256 * KB
        ),
        Format(
            kind="code", label="source code", family="source code", parser=_TEXT_PARSER, inline_bytes=256 * KB
        ),
        Format(
            kind="pdf",
            label="a PDF",
            family="PDF",
            parser="chalicelib.ingest.pdf:parse",
            scan_reader="chalicelib.ocr.reader:read",
        ),
        Format(kind="csv", label="a table (CSV, TSV)", family="CSV", parser="chalicelib.ingest.tables:parse"),
        Format(
            kind="subtitles",
            label="subtitles (SRT, WebVTT)",
            family="subtitles",
            parser="chalicelib.ingest.subtitles:parse",
        ),
        Format(kind="latex", label="a LaTeX source", family="LaTeX", parser="chalicelib.ingest.latex:parse"),
        Format(
            kind="html",
            label="a web page (HTML)",
            family="web pages",
            parser="chalicelib.ingest.webpage:parse",
        ),
        Format(
            kind="docx", label="a Word document (docx)", family="Word", parser="chalicelib.ingest.word:parse"
        ),
        Format(
            kind="pptx",
            label="a PowerPoint presentation (pptx)",
            family="PowerPoint (pptx)",
            parser="chalicelib.ingest.slides:parse",
        ),
        Format(
            kind="xlsx",
            label="an Excel workbook (xlsx)",
            family="Excel",
            parser="chalicelib.ingest.sheets:parse",
        ),
        Format(
            kind="doc",
            label="an old Word document (doc)",
            family="Word",
            parser="chalicelib.ingest.ole:parse",
        ),
        Format(kind="ppt", label="an old PowerPoint presentation (ppt)"),
        Format(
            kind="xls",
            label="an old Excel workbook (xls)",
            family="Excel",
            parser="chalicelib.ingest.ole:parse",
        ),
        Format(
            kind="msg",
            label="an Outlook message (msg)",
            family="e-mail",
            parser="chalicelib.ingest.ole:parse",
        ),
        Format(kind="ole", label="an encrypted or old Office file", parser="chalicelib.ingest.ole:parse"),
        Format(
            kind="odt",
            label="an OpenDocument text (odt)",
            family="OpenDocument",
            parser="chalicelib.ingest.opendocument:parse",
        ),
        Format(
            kind="ods",
            label="an OpenDocument spreadsheet (ods)",
            family="OpenDocument",
            parser="chalicelib.ingest.sheets:parse",
        ),
        Format(
            kind="odp",
            label="an OpenDocument presentation (odp)",
            family="OpenDocument",
            parser="chalicelib.ingest.opendocument:parse",
        ),
        Format(kind="epub", label="an e-book (EPUB)", family="EPUB", parser="chalicelib.ingest.books:parse"),
        Format(
            kind="rtf", label="a Rich Text document (RTF)", family="RTF", parser="chalicelib.ingest.rtf:parse"
        ),
        Format(kind="email", label="an e-mail (eml)", family="e-mail", parser="chalicelib.ingest.mail:parse"),
        Format(
            kind="notebook",
            label="a Jupyter notebook",
            family="notebooks",
            parser="chalicelib.ingest.notebook:parse",
        ),
        Format(kind="postscript", label="a PostScript file"),
        Format(kind="zip", label="a ZIP archive", family="ZIP archives", is_archive=True),
        Format(kind="archive", label="a compressed archive"),
        Format(
            kind="image", label="an image", family="images", queue=SCANS, reader="chalicelib.ocr.reader:read"
        ),
        Format(kind="audio", label="an audio recording", family="audio", queue=MEDIA, reader=_SPEECH_READER),
        Format(kind="video", label="a video", family="video", queue=MEDIA, reader=_SPEECH_READER),
        Format(kind="mislabelled", label="not what its name says"),
        Format(kind="executable", label="a program"),
        Format(kind="unknown", label="of an unknown binary type"),
        Format(kind="empty", label="empty"),
    )
}


def supported(kind: str) -> bool:
    """Say whether files of `kind` can be read."""
    row = FORMATS.get(kind)
    return row is not None and row.readable


def format_for(kind: str) -> Format:
    """Return the format that reads `kind`.

    Raise EmptyFile for "empty" and UnsupportedType for a kind that nothing here reads; the message says what
    the file is and what is taken.
    """
    if kind == "empty":
        raise EmptyFile("The file is empty (0 bytes).")
    row = FORMATS.get(kind, FORMATS["unknown"])
    if row.kind == "mislabelled":
        raise UnsupportedType(
            "The file is not what its name says: it is text, perhaps the error page of a failed download. "
            "Name it .txt or .html if that is what you want read.",
            kind=row.kind,
        )
    if not row.readable:
        raise UnsupportedType(
            f"This file is {row.label}, which can't be read. Taken are: {taken()}.", kind=row.kind
        )
    return row


def queue_for(kind: str) -> str:
    """Return the name of the queue for `kind`; raise as `format_for` does."""
    return format_for(kind).queue


def taken() -> str:
    """Return the list of what is read, for people, each family of formats once: "text, Markdown …"."""
    families = dict.fromkeys(row.family for row in FORMATS.values() if row.readable and row.family)
    return ", ".join(families)


def document_kinds() -> tuple[str, ...]:
    """Return the kinds of files that become documents: what `Document.source_type` may be."""
    return tuple(row.kind for row in FORMATS.values() if row.readable and row.family and not row.is_archive)
