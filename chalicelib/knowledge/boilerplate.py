"""Lines of a text that are not what it is about: headers and footers, menus, the frame of a letter, references.

Line by line, each looked at a bounded number of times, so that any text takes linear time. What is doubtful stays.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Final

from chalicelib.knowledge import background
from chalicelib.knowledge.background import PROPER

# A line that comes so often is a header, a footer or a form's label; its first time is kept.
REPEATED: Final = 4
# Longer lines are prose.
_LONGEST: Final = 100
# A longer word in capitals is a word in capitals.
_LONGEST_ACRONYM: Final = 6
# Lines after "Kind regards": name, role, company, address, telephone.
_SIGNATURE_LINES: Final = 10
_SIGNATURE_LENGTH: Final = 70
# So many entries that end in a year are a bibliography, whatever stands above them.
_ENTRIES: Final = 5

_ENDS: Final = (".", "!", "?", ",", ";", ":")
_SEPARATORS: Final = re.compile(r"\s[|·•›»]\s")
_FURNITURE: Final = re.compile(
    r"(?i)^(?:©|\(c\) ?\d|copyright\b)|\ball rights reserved\b|^privacy policy\b"
    r"|^(?:page|seite|p\.) ?\d+\b.{0,60}$|^(?:skip to|share (?:this|on)|follow (?:us|me)|posted (?:on|by|in)"
    r"|filed under|related (?:posts?|articles?)|read more|leave a comment|forward-looking statements)\b"
    r"|^(?:chapter|kapitel|chapitre|part|teil|appendix) (?:[ivxlc]+|\d+|[a-z]|one|two|three|four|five|six|seven"
    r"|eight|nine|ten)\.?$"
    r"|^this e-?mail (?:may|is|and)\b"
)
# An entry of Wikipedia's list of references.
_REFERENCE: Final = re.compile(r"^\d+\. ?\*{0,2}\^")
_SALUTATION: Final = re.compile(
    r"(?i)^(?:dear|hi|hello|hey|sehr geehrte\w*|liebe[rs]?|bonjour|chère?|hola|estimad[oa]s?)\b[^.:;]{0,40}[,!]?$"
)
_CLOSING: Final = re.compile(
    r"(?i)^(?:many thanks|thanks|thank you|(?:kind(?:est)?|best|warm(?:est)?) (?:regards|wishes)|regards|all the best"
    r"|sincerely|yours (?:sincerely|faithfully|truly)|cheers|mit freundlichen grüßen|(?:viele|beste) grüße"
    r"|cordialement|saludos|un saludo)\b[^.:;]{0,40}[,!]?$"
)
_ENTRY: Final = re.compile(r"\b(?:19|20)\d\d[a-z]?\)?\.?$")
_LETTERS: Final = re.compile(r"[^\W\d_]+")


def without_boilerplate(text: str) -> str:
    """Return a text without such lines. Line ends stay, so that what was parted stays so."""
    lines = text.split("\n")
    counts = Counter(line.strip() for line in lines)
    seen: set[str] = set()
    kept: list[str] = []
    signature = 0
    for line in lines:
        bare = line.strip()
        if signature and len(bare) <= _SIGNATURE_LENGTH:
            signature -= 1
            kept.append("")
            continue
        signature = _SIGNATURE_LINES if _CLOSING.match(bare) else 0
        drops = signature or _is_furniture(bare) or (bare in seen and _is_repeated(bare, counts[bare]))
        seen.add(bare)
        kept.append("" if drops else plain_heading(line))
    return _without_entries("\n".join(kept))


def plain_heading(line: str) -> str:
    """Return a heading in title case or capitals with its ordinary words in lower case; other lines as they are.

    "Quarterly Report on Harbour Operations" names nobody: its capitals are a heading's.
    """
    if len(line) > _LONGEST or line.rstrip().endswith(_ENDS):
        return line
    words = _LETTERS.findall(line)
    long = [word for word in words if len(word) > 3]
    if len(long) < 2 or not all(word[0].isupper() for word in long):
        return line
    in_capitals = line.isupper()
    if not in_capitals and len(words) < 4 and not all(_is_ordinary(word.lower()) for word in long):
        return line  # "Johannes Gutenberg"
    return _LETTERS.sub(lambda match: _plain(match[0], in_capitals), line)


def _plain(word: str, in_capitals: bool) -> str:
    lower = word.lower()
    ordinary = _is_ordinary(lower)
    if word.isupper() and len(word) > 1:  # an acronym, unless the whole line is so
        return lower if in_capitals and (ordinary or len(word) > _LONGEST_ACRONYM) else word
    return lower if ordinary and word[1:].islower() else word


def _is_ordinary(lower: str) -> bool:
    return background.is_known(lower) and background.word_classes().get(lower) != PROPER


def _is_furniture(bare: str) -> bool:
    if _REFERENCE.match(bare):
        return True
    if len(bare) > 3 * _LONGEST:
        return False
    parts = _SEPARATORS.split(bare)
    is_menu = len(parts) > 2 and not bare.startswith("|") and all(len(part.split()) <= 3 for part in parts)
    return is_menu or bool(_FURNITURE.search(bare)) or (len(bare) < 60 and bool(_SALUTATION.match(bare)))


def _is_repeated(bare: str, count: int) -> bool:
    return count >= REPEATED and len(bare) <= _LONGEST and not bare.endswith(_ENDS)


def _without_entries(text: str) -> str:
    """Drop the paragraphs that are entries of a bibliography: short, with commas, a year at the end."""
    parts = text.split("\n\n")
    entries = set(_entries(parts))
    if len(entries) < _ENTRIES:
        return text
    return "\n\n".join("" if i in entries else part for i, part in enumerate(parts))


def _entries(parts: list[str]) -> Iterator[int]:
    for i, part in enumerate(parts):
        bare = part.strip()
        if 20 < len(bare) < 600 and bare.count(",") >= 2 and _ENTRY.search(bare):
            yield i
