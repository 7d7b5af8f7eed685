"""What goes into a parser and what comes out of it."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import Final

import msgspec

# Progress of one file: units done, units in all (0: unknown), what is being done, for people.
ProgressCallback = Callable[[int, int, str], None]

# Text beyond this is refused: 32 Mi characters are about 10,000 printed pages, and as UCS-4 with the copies
# that cleaning makes they still fit the parser's default memory.
MAX_TEXT_CHARACTERS: Final = 32 * 1024 * 1024


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """One file for a parser to read."""

    # Absolute path of the bytes: the parser's working directory is a private one.
    path: str
    # What the user called the file; used for titles only.
    filename: str
    # Kind by content: a row of `formats.FORMATS`.
    kind: str
    # Programming language of code, else None.
    language: str | None = None
    # Password of an encrypted file, as the user gave it.
    password: str | None = None
    # Pages beyond which a document is refused.
    max_pages: int = 2000


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """A passage of a recording."""

    # Seconds from the recording's start.
    start: float
    end: float
    text: str


class Extracted(msgspec.Struct, frozen=True, kw_only=True):
    """What a file says. Text is Unicode with `\\n` line ends and no control characters but tab."""

    # The whole text; pages and other large parts are parted by an empty line.
    text: str
    # The document's own title, or its first heading, or the file's name; never empty.
    title: str
    # The kind that it was read as: "text", "markdown", "code", "pdf" …
    source_type: str
    # Programming language of code ("python"), or human language of speech ("en"); else None.
    language: str | None = None
    # Number of pages, where the format has pages.
    pages: int | None = None
    # Pages (1 is the first) that show something but hold no text: scans, for OCR to read.
    pages_without_text: tuple[int, ...] = ()
    # What was said when, where the source is a recording; empty for anything else.
    segments: tuple[Segment, ...] = ()
    # What the file says about itself: "author", "created", "encoding" …
    metadata: dict[str, str] = {}
    # What went wrong without making the text useless, one sentence each, for people.
    warnings: tuple[str, ...] = ()

    @property
    def blank(self) -> bool:
        """Whether the text shows nothing: white space and marks without a shape (zero-width space, soft hyphen)."""
        return all(one.isspace() or unicodedata.category(one) == "Cf" for one in self.text)


def ignore_progress(done: int, total: int, text: str) -> None:
    """Take a progress report and do nothing: for callers that don't watch."""
