"""Questions to a language model about foreign text, and words from its answers.

Foreign text is data: it stands between two marks with a code that it cannot know, and whatever it says, the answer's
shape is a schema, its lengths are cut and its choices are from closed lists. A text may still talk a model into
naming a wrong concept; it can do no more.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import Any, Final

import msgspec

# Of a long text's share of the question, so much is its beginning; the rest are windows at even distances.
_HEAD_SHARE: Final = 0.6
_WINDOWS: Final = 4
# What no name has: markup, addresses.
_MARKUP: Final = re.compile(r"[<>{}\[\]`]|://|\bwww\.|@\w")


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What a model is asked."""

    # What the answer is, for the cache and the log: concepts or suggestions.
    kind: str
    # Counts up when instructions or schema change: answers to another version are not used.
    version: int
    # Our instructions.
    system: str
    # What they are about, foreign parts between marks.
    text: str
    # The tool that is to be called: its name, what it does, and the JSON schema of what it takes.
    tool: str
    description: str
    schema: dict[str, Any]
    # SHA-256 of the content that is asked about.
    digest: str
    # It is about the whole library: what was answered is forgotten with any document of it.
    whole: bool = False
    # The answer is long: a call may take twice the usual time.
    long: bool = False


def digest_of(text: str) -> str:
    """Return the SHA-256 of a text, in which any white space is one space."""
    return hashlib.sha256(" ".join(text.split()).encode("utf-8", "replace")).hexdigest()


def marked(text: str, code: str) -> str:
    """Return foreign text between two marks.

    `code` is the digest of more than the text itself holds, so no text can name its own and close the mark early.
    """
    return f'<content code="{code[:16]}">\n{text}\n</content code="{code[:16]}">'


def excerpt(text: str, characters: int) -> str:
    """Return at most `characters` of a text: its beginning, and windows at even distances of the rest."""
    if len(text) <= characters:
        return text
    head = int(characters * _HEAD_SHARE)
    gap = "\n[…]\n"
    window = (characters - head) // _WINDOWS - len(gap)
    if window <= 0:
        return text[:characters]
    stride = (len(text) - head) // _WINDOWS
    starts = [head + i * stride + (stride - window) // 2 for i in range(_WINDOWS)]
    return gap.join([text[:head], *(text[start : start + window] for start in starts)])


def plain(value: Any, longest: int) -> str:
    """Return a model's words as one line without control characters, cut to `longest`; "" for what is no text."""
    if not isinstance(value, str):
        return ""
    kept = "".join(" " if unicodedata.category(c)[0] in "CZ" else c for c in value[: 4 * longest])
    line = " ".join(kept.split())
    return line if len(line) <= longest else line[: longest - 1].rstrip() + "…"


def name(value: Any, longest: int) -> str:
    """Return a model's word for something, or "" where it is no name: too long, an address, markup."""
    line = plain(value, longest + 1)
    fits = len(line) <= longest and any(c.isalnum() for c in line) and not _MARKUP.search(line)
    return line if fits else ""


def written(value: Any, longest: int) -> str:
    """Return a model's words over several lines without control characters; "" for no text, or one too long."""
    if not isinstance(value, str) or len(value) > longest:
        return ""
    kept = "".join(c for c in value if c in "\n\t" or unicodedata.category(c)[0] != "C")
    return kept.strip("\n")
