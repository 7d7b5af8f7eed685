"""File names from strangers, made fit to show and to store."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

MAX_CHARACTERS: Final = 200
UNNAMED: Final = "unnamed"

# An ending longer than this is no extension but a sentence with a full stop.
_MAX_EXTENSION: Final = 20
_DRIVE = re.compile(r"^[A-Za-z]:")
# Format characters (category Cf) can reverse or hide parts of a name ("exe.fdp" shown as "pdf.exe"). Kept are
# the joiners and tags that emoji and several scripts are written with.
_KEPT_FORMAT_CHARACTERS: Final = frozenset({0x200C, 0x200D, *range(0xE0020, 0xE0080)})
# Control, surrogate, private use, unassigned; line and paragraph separators.
_DROPPED_CATEGORIES: Final = frozenset({"Cc", "Cs", "Co", "Cn", "Zl", "Zp"})


def safe_filename(name: str) -> str:
    """Return `name` as 1 to 200 characters that are safe to show and to store; never raises.

    Directories (`../`, backslashes, drive letters), control and direction characters go; the rest is
    normalised to NFC and shortened before its extension. A result of 200 emoji is 800 bytes: more than most
    file systems take in a name, so files on disk are named by the program, not by this.
    """
    base = _DRIVE.sub("", re.split(r"[/\\]", name)[-1])
    shown = "".join(character for character in base if _is_kept(character))
    # Windows drops trailing dots and blanks by itself, and "." and ".." are directories.
    return _shorten(unicodedata.normalize("NFC", shown).strip().rstrip(". ")) or UNNAMED


def extension(name: str) -> str:
    """Return the lower-case extension of `name` with its dot (".pdf"), or ""."""
    stem, dot, ending = name.rpartition(".")
    if not dot or not stem or not 0 < len(ending) <= _MAX_EXTENSION or " " in ending:
        return ""
    return f".{ending.lower()}"


def stem(name: str) -> str:
    """Return `name` without its extension; never empty for a name that is not."""
    return name[: len(name) - len(extension(name))]


def _is_kept(character: str) -> bool:
    category = unicodedata.category(character)
    if category == "Cf":
        return ord(character) in _KEPT_FORMAT_CHARACTERS
    return category not in _DROPPED_CATEGORIES


def _shorten(name: str) -> str:
    if len(name) <= MAX_CHARACTERS:
        return name
    ending = name[len(stem(name)) :]
    # A joiner at the cut would glue the last emoji to the dot.
    return name[: MAX_CHARACTERS - len(ending)].rstrip("\u200c\u200d. ") + ending
