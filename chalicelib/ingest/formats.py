"""The formats: one row each, that says who reads a kind of file and on which queue."""

from __future__ import annotations

from typing import Final

import msgspec

from chalicelib.errors import EmptyFile, UnsupportedType

KB: Final = 1024


class Format(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of file. Without a parser it is known by name only, so that an error can name it."""

    # Kind by content, as `content.sniff` gives it.
    kind: str
    # What people call it, with its article: "a PDF".
    label: str
    # Queue whose function has the parser's libraries.
    queue: str = "uploads"
    # "module:function" of the parser, or None when nothing here reads the kind yet.
    parser: str | None = None
    # Files of at most this many bytes are parsed in the caller's process: only for parsers that do nothing
    # with the bytes but decode them, in time and memory proportional to their number, and without native
    # parsers.
    inline_bytes: int = 0


_TEXT_PARSER: Final = "chalicelib.ingest.text:parse"

FORMATS: Final = {
    row.kind: row
    for row in (
        Format(kind="text", label="plain text", parser=_TEXT_PARSER, inline_bytes=256 * KB),
        Format(kind="markdown", label="Markdown", parser=_TEXT_PARSER, inline_bytes=256 * KB),
        Format(kind="code", label="source code", parser=_TEXT_PARSER, inline_bytes=256 * KB),
        Format(kind="pdf", label="a PDF", parser="chalicelib.ingest.pdf:parse"),
        Format(kind="html", label="a web page (HTML)"),
        Format(kind="docx", label="a Word document (docx)"),
        Format(kind="pptx", label="a PowerPoint presentation (pptx)"),
        Format(kind="xlsx", label="an Excel workbook (xlsx)"),
        Format(kind="doc", label="an old Word document (doc)"),
        Format(kind="ppt", label="an old PowerPoint presentation (ppt)"),
        Format(kind="xls", label="an old Excel workbook (xls)"),
        Format(kind="msg", label="an Outlook message (msg)"),
        Format(kind="ole", label="an old Office file"),
        Format(kind="odt", label="an OpenDocument text (odt)"),
        Format(kind="ods", label="an OpenDocument spreadsheet (ods)"),
        Format(kind="odp", label="an OpenDocument presentation (odp)"),
        Format(kind="epub", label="an e-book (EPUB)"),
        Format(kind="rtf", label="a Rich Text document (RTF)"),
        Format(kind="email", label="an e-mail (eml)"),
        Format(kind="notebook", label="a Jupyter notebook"),
        Format(kind="postscript", label="a PostScript file"),
        Format(kind="zip", label="a ZIP archive"),
        Format(kind="archive", label="a compressed archive"),
        Format(kind="image", label="an image", queue="uploads-ocr"),
        Format(kind="audio", label="an audio recording", queue="uploads-media"),
        Format(kind="video", label="a video", queue="uploads-media"),
        Format(kind="executable", label="a program"),
        Format(kind="unknown", label="of an unknown binary type"),
        Format(kind="empty", label="empty"),
    )
}


def supported(kind: str) -> bool:
    """Say whether files of `kind` can be read."""
    row = FORMATS.get(kind)
    return row is not None and row.parser is not None


def format_for(kind: str) -> Format:
    """Return the format that reads `kind`.

    Raise EmptyFile for "empty" and UnsupportedType for a kind that nothing here reads; the message says what
    the file is and what is taken.
    """
    if kind == "empty":
        raise EmptyFile("The file is empty (0 bytes).")
    row = FORMATS.get(kind, FORMATS["unknown"])
    if row.parser is None:
        raise UnsupportedType(
            f"This file is {row.label}, which can't be read. Taken are: {taken()}.", kind=row.kind
        )
    return row


def queue_for(kind: str) -> str:
    """Return the name of the queue for `kind`; raise as `format_for` does."""
    return format_for(kind).queue


def taken() -> str:
    """Return the list of what is read, for people: "plain text, Markdown …"."""
    return ", ".join(row.label for row in FORMATS.values() if row.parser is not None)
