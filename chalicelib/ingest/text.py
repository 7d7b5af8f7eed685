"""Text, Markdown and code: encoding, line ends, title."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import charset_normalizer

from chalicelib.errors import BrokenFile, TooLarge
from chalicelib.ingest.content import BYTE_ORDER_MARKS
from chalicelib.ingest.document import (
    MAX_TEXT_CHARACTERS,
    Extracted,
    ProgressCallback,
    Source,
    ignore_progress,
)
from chalicelib.ingest.filename import extension, stem

MAX_TITLE_CHARACTERS: Final = 200

# Bytes that the encoding is guessed from. Guessing tries every candidate on all of them: about 20 ms.
_SAMPLE_BYTES: Final = 16 * 1024
# What old files are written in. Fewer candidates guess better: with all of charset-normalizer's 90, short texts
# come out as Baltic or Macintosh code pages. Sister code pages often look equally good ("à" of one is "ŕ" of
# another); then the first in this order wins: Western before Eastern, and ISO 8859-2, which a text with Windows'
# own characters can't be, before cp1250.
_ENCODINGS: Final = [
    "cp1252",
    "iso8859_2",
    "cp1250",
    "cp1251",
    "cp1253",
    "cp1254",
    "cp1255",
    "cp1256",
    "koi8_r",
    "mac_roman",
    "cp932",
    "euc_jp",
    "iso2022_jp",
    "gb18030",
    "big5",
    "cp949",
]
# Difference of charset-normalizer's measure of mess (0 to 1) below which two encodings look equally good.
_SAME_CHAOS: Final = 0.01
# The most common by far, where nothing fits.
_FALLBACK: Final = "cp1252"
# Share of characters that could not be decoded beyond which the file is not text at all.
_MAX_REPLACED: Final = 0.1

# Texts whose first line is a header for programs, not a heading for people.
_DATA_EXTENSIONS: Final = frozenset({".csv", ".log", ".srt", ".tsv", ".vtt"})

_LINE_END = re.compile(r"\r\n?|[\u2028\u2029\x0b\x0c\x85]")
_INVISIBLE: Final = dict.fromkeys({*range(0x20), *range(0x7F, 0xA0), 0xFEFF} - {0x09, 0x0A})

_FRONT_MATTER = re.compile(r"\A---[ \t]*\n(.{0,10000}?)\n(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.S)
_FRONT_TITLE = re.compile(r"^title[ \t]*:[ \t]*(.+)$", re.M | re.I)
_FENCE = re.compile(r"[ ]{0,3}(```|~~~)")
_ATX_HEADING = re.compile(r"[ ]{0,3}(#{1,6})[ \t]+(.*)")
_SETEXT_UNDERLINE = re.compile(r"[ ]{0,3}(?:=+|-+)[ \t]*\Z")
_MARKUP = re.compile(r"!?\[([^\[\]]*)\]\([^()]*\)|[*`]+")
# A string or comment that opens a file, after `#!`, coding and lint lines.
_DOC_COMMENT = re.compile(
    r"(?:[ \t]*(?:#[^\n]*)?\n)*[ \t]*"
    r"(?:r?\"\"\"(.{1,2000}?)\"\"\"|r?'''(.{1,2000}?)'''|/\*+!?(.{1,2000}?)\*/)",
    re.S | re.I,
)
_LICENCE = re.compile(r"copyright|licen[cs]e|\(c\)|spdx", re.I)


def parse(source: Source, *, on_progress: ProgressCallback = ignore_progress) -> Extracted:
    """Read a text file. Raise TooLarge beyond 32 Mi bytes, BrokenFile when it can't be decoded."""
    path = Path(source.path)
    if path.stat().st_size > MAX_TEXT_CHARACTERS:
        limit = MAX_TEXT_CHARACTERS // 1024**2
        raise TooLarge(f"Text files are read up to {limit} MB. Split this one.", limit_mb=limit)
    text, encoding, warnings = decode(path.read_bytes())
    on_progress(1, 1, "decoded")
    return Extracted(
        text=text,
        title=_title(text, source),
        source_type=source.kind,
        language=source.language,
        metadata={"encoding": encoding},
        warnings=warnings,
    )


def decode(data: bytes) -> tuple[str, str, tuple[str, ...]]:
    """Return (clean text, name of the encoding, warnings).

    By byte order mark, else UTF-8, else guessed by charset-normalizer from the first lines that are not
    ASCII. Raise BrokenFile when more than a tenth of the characters can't be decoded.
    """
    encoding = next((name for mark, name in BYTE_ORDER_MARKS if data.startswith(mark)), None)
    if encoding is None:
        try:
            return clean(data.decode("utf-8")), "utf-8", ()
        except UnicodeDecodeError as error:
            # A few bad bytes in much UTF-8 are damage, not another encoding.
            encoding = "utf-8" if _is_mostly_utf8(data, error.start) else _guessed_encoding(data)
    text = data.decode(encoding, "replace")
    replaced = text.count("\ufffd")
    if replaced > len(text) * _MAX_REPLACED:
        raise BrokenFile(
            f"The text can't be decoded: {replaced} of {len(text)} characters are damaged ({encoding})."
        )
    warnings = (f"Characters that could not be decoded as {encoding}: {replaced}.",) if replaced else ()
    return clean(text), encoding, warnings


def clean(text: str) -> str:
    """Return `text` with `\\n` line ends, and without control characters but tab or byte order marks."""
    return _LINE_END.sub("\n", text).translate(_INVISIBLE)


def heading_like(text: str) -> str:
    """Return the first line of `text` if it could be a heading (up to 120 characters with letters), or ""."""
    line = next((line.strip() for line in text[:2000].split("\n") if line.strip()), "")
    is_heading = len(line) <= 120 and sum(map(str.isalpha, line)) >= 3 and not line.endswith((".", ",", ";"))
    return line if is_heading else ""


def opening_comment(text: str) -> str:
    """Return what source code says of itself first, without its marks: a docstring or comment that is no licence."""
    comment = _DOC_COMMENT.match(text[:8000])
    if not comment:
        return ""
    lines = [line.strip(" \t*/") for line in next(filter(None, comment.groups()), "").split("\n")]
    said = "\n".join(lines).strip("\n")
    return "" if _LICENCE.search(said.partition("\n")[0]) else said


def _is_mostly_utf8(data: bytes, first_error: int) -> bool:
    """Say whether `data` holds multi-byte UTF-8 characters, and 50 times more of them than bad bytes."""
    around = data[max(0, first_error - _SAMPLE_BYTES) : first_error + _SAMPLE_BYTES]
    text = around.decode("utf-8", "replace")
    multi_byte = sum(character > "\x7f" for character in text)
    replaced = text.count("\ufffd")
    return multi_byte - replaced > 50 * replaced


def _guessed_encoding(data: bytes) -> str:
    lines = [line for line in data[: 64 * _SAMPLE_BYTES].splitlines(keepends=True) if not line.isascii()]
    sample = b"".join(lines)[:_SAMPLE_BYTES] or data[:_SAMPLE_BYTES]
    matches = list(charset_normalizer.from_bytes(sample, cp_isolation=_ENCODINGS, enable_fallback=False))
    if not matches:
        return _FALLBACK
    least = min(match.chaos for match in matches)
    likely = {match.encoding for match in matches if match.chaos <= least + _SAME_CHAOS}
    return next(encoding for encoding in _ENCODINGS if encoding in likely)


def _title(text: str, source: Source) -> str:
    if source.kind == "code":
        return _code_title(text)[:MAX_TITLE_CHARACTERS].strip() or source.filename
    if source.kind == "markdown":
        title = _markdown_title(text)
    else:
        title = "" if extension(source.filename) in _DATA_EXTENSIONS else heading_like(text)
    return title[:MAX_TITLE_CHARACTERS].strip() or stem(source.filename)


def _markdown_title(text: str) -> str:
    """Return the front matter's title, else the first heading outside of code fences, else ""."""
    front = _FRONT_MATTER.match(text)
    if front:
        named = _FRONT_TITLE.search(front[1])
        if named:
            return named[1].strip().strip("\"'")
        text = text[front.end() :]
    return _MARKUP.sub(r"\1", _first_heading(text.split("\n", 1000)[:1000]))


def _first_heading(lines: list[str]) -> str:
    fence = ""
    previous = ""
    for line in lines:
        mark = _FENCE.match(line)
        if mark and (not fence or mark[1] == fence):
            fence = "" if fence else mark[1]
            previous = ""
            continue
        if fence:
            continue
        heading = _ATX_HEADING.match(line)
        if heading:
            return heading[2].rstrip("# \t")
        if previous and _SETEXT_UNDERLINE.match(line):
            return previous
        previous = line.strip()
    return ""


def _code_title(text: str) -> str:
    """Return the first sentence line of the module's docstring or opening comment, or ""."""
    return opening_comment(text).partition("\n")[0].rstrip(".")
