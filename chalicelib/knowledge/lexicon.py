"""Names with a known category: languages, frameworks, tools, methods, fields.

The list is authored (`data/lexicon.txt`) and small on purpose: it settles spelling and category of what most
libraries have, and leaves everything else to statistics.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from chalicelib.knowledge import background
from chalicelib.knowledge.background import DATA
from chalicelib.knowledge.tokens import BREAK, singular

# Words of the longest alias.
LONGEST: Final = 5
# Unambiguous names and words below that a text needs before "Go" is a language in it.
TECHNICAL_CUES: Final = 2


class Entry(NamedTuple):
    """One way to write a name."""

    # The name as shown: "PostgreSQL".
    name: str
    # language, framework, library, database, platform, tool, protocol, format, method or field.
    category: str
    # The exact spelling that is asked for, and only in a technical text; "" when any case will do.
    exact: str


class Lexicon(NamedTuple):
    """The entries by key (see `key`): some keys have a free and an exact spelling."""

    entries: dict[str, list[Entry]]

    def find(self, words: Sequence[str], *, technical: bool) -> Entry | None:
        """Return the entry that `words`, as written, are, or None."""
        written = " ".join(words)
        lower = key(written)
        for spelling in (lower, singular(lower)):
            for entry in self.entries.get(spelling, ()):
                if not entry.exact or (technical and written == entry.exact):
                    return entry
        return None


class Match(NamedTuple):
    """A name found in a token list."""

    entry: Entry
    # Index of the first token, and how many tokens.
    start: int
    length: int


def key(text: str) -> str:
    """Return the form under which spellings are equal: lower case, hyphens and slashes as spaces."""
    return " ".join(text.lower().replace("-", " ").replace("/", " ").replace("'s", "").split())


@lru_cache(maxsize=1)
def lexicon() -> Lexicon:
    """Read the lexicon, once."""
    entries: dict[str, list[Entry]] = {}
    category = ""
    for line in (DATA / "lexicon.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            category = line.strip("[]")
        elif not line.startswith("#"):
            for part in line.split(";"):
                spellings = part.strip().split("|")
                name = spellings[0].removeprefix("!")
                guarded = any(spelling == f"!{name}" for spelling in spellings)
                for spelling in spellings:
                    exact = spelling.removeprefix("!") if spelling.startswith("!") else ""
                    if exact or spelling != name or not guarded:
                        entries.setdefault(key(exact or spelling), []).append(Entry(name, category, exact))
    return Lexicon(entries)


def spelled(name: str) -> list[Entry]:
    """Return the entries with a spelling, guarded ones too: for names that are known to be technical."""
    return lexicon().entries.get(key(name), [])


def category_of(name: str) -> str | None:
    """Return the category of a name in any unambiguous spelling, or None."""
    entry = lexicon().find([name], technical=False)
    return entry.category if entry else None


def is_technical(found: Sequence[str]) -> bool:
    """Tell whether tokens have TECHNICAL_CUES different unambiguous names or words of programming."""
    cues: set[str] = set()
    for word in found:
        if singular(word.lower()) in background.technical_words():
            cues.add(singular(word.lower()))
        elif word:
            entry = lexicon().find([word], technical=False)
            cues.update(
                [entry.name] if entry and entry.category not in ("method", "field", "concept") else []
            )
        if len(cues) >= TECHNICAL_CUES:
            return True
    return False


def matches(found: Sequence[str], *, technical: bool) -> list[Match]:
    """Return the longest names in a token list, left to right, without overlaps.

    A single break inside is allowed where the alias has one ("CI/CD", "TCP/IP").
    """
    table, result, i = lexicon(), [], 0
    while i < len(found):
        match = _longest(table, found, i, technical=technical) if found[i] != BREAK else None
        if match:
            result.append(match)
        i += match.length if match else 1
    return result


@lru_cache(maxsize=1)
def _first_words() -> frozenset[str]:
    return frozenset(spelling.split(" ", 1)[0] for spelling in lexicon().entries)


def _speaks_of_code(found: Sequence[str], start: int) -> bool:
    """Tell whether the next word is one of programming: "C compiler", "R package"; else a letter is a letter."""
    following = found[start + 1].lower() if start + 1 < len(found) else BREAK
    return following in ("language", "programming") or singular(following) in background.technical_words()


def _longest(table: Lexicon, found: Sequence[str], start: int, *, technical: bool) -> Match | None:
    first = found[start].lower()
    if first not in _first_words() and singular(first) not in _first_words() and "-" not in first:
        return None
    for length in range(min(LONGEST, len(found) - start), 0, -1):
        words = found[start : start + length]
        if words[-1] == BREAK or (BREAK in words and length != 3):
            continue
        entry = table.find([word for word in words if word], technical=technical)
        if entry and (len(words[0]) > 1 or length > 1 or _speaks_of_code(found, start)):
            return Match(entry, start, length)
    return None
