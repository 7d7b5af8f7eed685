"""What a file is, from its first bytes. The name only refines kinds of text.

Light on purpose: the API calls this before it takes a file.
"""

from __future__ import annotations

import codecs
import re
from typing import Final

import msgspec

from chalicelib.ingest import containers
from chalicelib.ingest.filename import extension
from chalicelib.ingest.languages import language_of

# As many bytes as `sniff` looks at; more are ignored.
HEAD_BYTES: Final = 64 * 1024

# Byte order marks, the longer before the shorter that they start with.
BYTE_ORDER_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

# Readers accept up to 1,024 bytes of junk before a PDF's header (ISO 32000-1, annex H, note 13).
_PDF_HEADER: Final = b"%PDF-"
_PDF_JUNK_BYTES: Final = 1024
_MARKDOWN_EXTENSIONS: Final = frozenset({".md", ".markdown", ".mdown", ".mkd", ".mdx"})
_HTML_EXTENSIONS: Final = frozenset({".htm", ".html", ".xhtml"})
_TABLE_MIMES: Final = {
    ".csv": "text/csv",
    ".tab": "text/tab-separated-values",
    ".tsv": "text/tab-separated-values",
}
_SUBTITLE_MIMES: Final = {".srt": "application/x-subrip", ".vtt": "text/vtt"}
_LATEX_EXTENSIONS: Final = frozenset({".ltx", ".tex"})
# Headers that only a stored mail starts with; the names of mails from a server have no extension.
_MAIL_START = re.compile(r"(?:Return-Path|Received|Delivered-To|Message-ID|MIME-Version):[ \t]", re.I)
# Formats that are never text: what is called so and is text is an error page, a note, a failed download. (Not .doc
# and .xls: programs write RTF and HTML under these names.)
_NEVER_TEXT: Final = frozenset(
    {
        *(".pdf", ".docx", ".pptx", ".xlsx", ".odt", ".ods", ".odp", ".epub", ".zip", ".gz", ".7z", ".rar"),
        *(".png", ".jpg", ".jpeg", ".gif", ".webp", ".tif", ".tiff", ".bmp", ".heic", ".exe", ".msg"),
        *(".mp3", ".m4a", ".wav", ".flac", ".ogg", ".opus", ".aac", ".mp4", ".m4v", ".mov", ".avi", ".mkv"),
    }
)
_HTML_START = re.compile(
    r"\s*(?:<\?xml[^>]{0,200}\?>\s*)?(?:<!--.{0,2000}?-->\s*)?<(?:!doctype\s+html|html|head|body)[\s>]",
    re.I | re.S,
)
# Control characters that text does not hold: all of C0 but \b \t \n \v \f \r and ESC, and DEL.
_CONTROLS: Final = bytes(sorted({*range(0x20), 0x7F} - {0x08, 0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x1B}))
_CONTROL_CHARACTERS: Final = dict.fromkeys(_CONTROLS)
# Text may hold a few strays, as a DOS end-of-file mark; a random file holds 100 in 1,000.
_CONTROLS_PER_THOUSAND: Final = 2


class ContentType(msgspec.Struct, frozen=True, kw_only=True):
    """What a file is."""

    # "text", "markdown", "code", "pdf", "docx", "image" … "unknown", "empty": a row of `formats.FORMATS`.
    kind: str
    # Media type; "application/octet-stream" when unknown.
    mime: str
    # Programming language of code ("python"), else None.
    language: str | None = None


def sniff(head: bytes, *, filename: str, size: int) -> ContentType:
    """Return the type of the file that starts with `head` (its first 64 KB) and is `size` bytes long."""
    head = head[:HEAD_BYTES]
    if not head or size == 0:
        return ContentType(kind="empty", mime="application/x-empty")
    if head.removeprefix(codecs.BOM_UTF8).lstrip().startswith(_PDF_HEADER):
        return ContentType(kind="pdf", mime="application/pdf")
    text = _as_text(head, complete=size <= len(head))
    if text is not None:
        return _text_type(text, filename)
    kind, mime = containers.identify(head, filename)
    # Only now: a text about PDFs may hold the header among its first lines, an archive that is not compressed a PDF.
    if kind == "unknown" and _PDF_HEADER in head[:_PDF_JUNK_BYTES]:
        return ContentType(kind="pdf", mime="application/pdf")
    return ContentType(kind=kind, mime=mime)


def _as_text(head: bytes, *, complete: bool) -> str | None:
    """Return `head` as text, roughly when its encoding is an old 8-bit one, or None when it is binary."""
    for mark, encoding in BYTE_ORDER_MARKS:
        if head.startswith(mark):
            return _decoded(head, encoding, complete)
    if b"\0" in head:
        return None
    # The rough reading is for looking at ASCII markup only: `text.decode` finds the true encoding.
    return _decoded(head, "utf-8", complete) or _decoded(head, "latin-1", complete)


def _decoded(head: bytes, encoding: str, complete: bool) -> str | None:
    try:
        # An incremental decoder takes a character that is cut at the end of the head.
        text = codecs.getincrementaldecoder(encoding)().decode(head, final=complete)
    except UnicodeDecodeError:
        return None
    controls = len(text) - len(text.translate(_CONTROL_CHARACTERS))
    return text if controls * 1000 <= len(text) * _CONTROLS_PER_THOUSAND + 1000 * (controls == 1) else None


def _text_type(text: str, filename: str) -> ContentType:
    ending = extension(filename)
    if ending in _NEVER_TEXT:
        return ContentType(kind="mislabelled", mime="text/plain")
    found = _marked_type(text) or _named_type(text, ending)
    if found is not None:
        return found
    language = language_of(filename, text)
    if language:
        return ContentType(kind="code", mime="text/plain", language=language)
    if ending in _HTML_EXTENSIONS or _HTML_START.match(text):
        return ContentType(kind="html", mime="text/html")
    if ending in _TABLE_MIMES:
        return ContentType(kind="csv", mime=_TABLE_MIMES[ending])
    if not ending and _MAIL_START.match(text):
        return ContentType(kind="email", mime="message/rfc822")
    return ContentType(kind="text", mime="text/plain")


def _marked_type(text: str) -> ContentType | None:
    """Return the type of a text that says in its first characters what it is."""
    if text.startswith("{\\rtf"):
        return ContentType(kind="rtf", mime="application/rtf")
    if text.startswith("%!PS"):
        return ContentType(kind="postscript", mime="application/postscript")
    if text.startswith("WEBVTT"):
        return ContentType(kind="subtitles", mime="text/vtt")
    return None


def _named_type(text: str, ending: str) -> ContentType | None:
    """Return the type of a text whose name says what it is, even where it looks like HTML or code."""
    if ending in _MARKDOWN_EXTENSIONS:
        return ContentType(kind="markdown", mime="text/markdown")
    if ending == ".eml":
        return ContentType(kind="email", mime="message/rfc822")
    if ending == ".ipynb":
        return ContentType(kind="notebook", mime="application/x-ipynb+json")
    if ending in _SUBTITLE_MIMES and "-->" in text:
        return ContentType(kind="subtitles", mime=_SUBTITLE_MIMES[ending])
    if ending in _LATEX_EXTENSIONS:
        return ContentType(kind="latex", mime="application/x-latex")
    return None
