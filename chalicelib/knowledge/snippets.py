"""The piece of a text that shows why it was found."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from chalicelib.ingest.document import Segment
from chalicelib.knowledge.searchwords import Question, fold, phrase_pattern, term

# Characters of a snippet, how many of them stand before the first word that was found, and marks in it.
LENGTH: Final = 240
BEFORE: Final = 60
MAX_MARKS: Final = 20
# Places of words that are looked at in one text.
_MAX_PLACES: Final = 2000
# So much of a text is looked at for a snippet: rules of tables and addresses of links are left out of it.
_WINDOW: Final = 3 * LENGTH
# Markdown's, which texts of pages, tables and documents have, too; and what is left of HTML.
_MARKUP: Final = (
    r"(?m)^[ \t]*\|?[ \t]*:?-{3,}:?[ \t]*(?:\|[ \t]*:?-{3,}:?[ \t]*)*\|?[ \t]*$"  # rules, of tables as well
    r"|^[ \t]*(?:#{1,6}|>+|[-*+])[ \t]+"  # headings, quotations, lists
    r"|(?:^|(?<=[ \t]))\|(?=[ \t]|$)"  # cells
    r"|\*{2,3}\^\*{2,3}|\*{2,3}|(?<![\w*])\*(?=\w)|(?<=[\w.,!?)])\*(?![\w*])|(?<!\w)__(?=\w)|(?<=\w)__(?!\w)|`+"
    r"|!?\[(?=[^\[\]\n]{0,200}\]\()|(?<=[^\[\n])\]\([^()\n]{0,500}\)"  # links
    r"|<!--|-->|</?[a-zA-Z][^<>\n]{0,200}>"
)
MAX_SPOKEN: Final = 5


class Snippet(NamedTuple):
    """A piece of a text."""

    # The piece: plain, in one line.
    text: str
    # Where the words that were asked for stand in it: start and end, in characters.
    marks: list[tuple[int, int]]
    # Where the piece begins in the whole text, in characters.
    offset: int


def snippet(text: str, question: Question, *, markup: bool = True) -> Snippet:
    """Return `LENGTH` characters with the most different words that were asked for, a phrase first of all.

    The beginning of the text where none of them is found (they may stand in the title, or far behind). `markup`
    is left out of it where there may be some: not in code.
    """
    folded = _aligned(text)
    places = _places(folded, question)
    start = max(0, _best(places, folded, question) - BEFORE)
    if start:
        start = text.find(" ", start, start + BEFORE) + 1 or start
    shown, places_of = _plain(text[start : start + _WINDOW], markup=markup)
    inside = [
        (at - start, end - start) for at, end, _ in places if at >= start and end < start + len(places_of)
    ]
    moved = [(places_of[at], places_of[end]) for at, end in inside]
    marks = [(at, end) for at, end in moved if at < end <= LENGTH]
    return Snippet(shown[:LENGTH].rstrip(), marks[:MAX_MARKS], start)


def _plain(piece: str, *, markup: bool) -> tuple[str, list[int]]:
    """Return `piece` without markup and with single spaces, and where each of its places is in that."""
    dropped = [False] * len(piece)
    for match in re.finditer(_MARKUP, piece) if markup else ():
        dropped[match.start() : match.end()] = [True] * len(match.group())
    kept: list[str] = []
    places = []
    for letter, drop in zip(piece, dropped, strict=True):
        places.append(len(kept))
        if drop:
            continue
        if not letter.isspace():
            kept.append(letter)
        elif kept and kept[-1] != " ":
            kept.append(" ")
    return "".join(kept), [*places, len(kept)]


def spoken(segments: Iterable[Segment], question: Question) -> list[Segment]:
    """Return the passages of a recording with the most different words that were asked for, in their order."""
    found = []
    for number, segment in enumerate(segments):
        names = {name for _, _, name in _places(_aligned(segment.text), question)}
        if names:
            found.append((-len(names), number, segment))
    best = sorted(found, key=lambda entry: entry[:2])[:MAX_SPOKEN]
    return [segment for _, _, segment in sorted(best, key=lambda entry: entry[1])]


def _aligned(text: str) -> str:
    """Fold `text`, each place staying what it is; where folding changes the length, only the case is folded."""
    for candidate in (fold(text), text.lower()):
        if len(candidate) == len(text):
            return candidate
    return text


def _places(folded: str, question: Question) -> list[tuple[int, int, str]]:
    """Return start, end and term of each word that was asked for, in their order."""
    # All words that begin like a term, then those whose term it is: the first is done at the speed of C.
    begins = sorted({name[:3] for name in (*question.terms, *question.prefixes)}, key=len, reverse=True)
    pattern = re.compile("(?:" + "|".join(map(re.escape, begins)) + r")[^\W_]*")
    found: list[tuple[int, int, str]] = []
    for match in pattern.finditer(folded):
        at = match.start()
        if at and folded[at - 1].isalnum() and folded[at].isascii():
            continue  # inside a word; scripts without spaces have no inside
        named = _named(match.group(), question)
        if named:
            found.append((at, at + len(named[1]), named[0]))
        if len(found) == _MAX_PLACES:
            break
    return found


def _named(word: str, question: Question) -> tuple[str, str] | None:
    """Return the term or beginning that a word stands for, and as much of the word as is marked."""
    if term(word) in question.terms:
        return term(word), word
    for prefix in question.prefixes:
        if word.startswith(prefix) or term(word) == term(prefix):
            return prefix, word
    for name in question.terms:
        if not name.isascii() and word.startswith(name):
            return name, name
    return None


def _best(places: Sequence[tuple[int, int, str]], folded: str, question: Question) -> int:
    """Return where the best piece begins: at a phrase, else at the window with the most different words."""
    for phrase in question.phrases:
        if match := phrase_pattern(phrase).search(folded):
            return match.start()
    best, best_rank = 0, 0
    inside: Counter[str] = Counter()
    first = 0
    for at, end, name in places:
        inside[name] += 1
        while end - places[first][0] > LENGTH - BEFORE and first < len(places) - 1:
            inside[places[first][2]] -= 1
            first += 1
        rank = sum(count > 0 for count in inside.values())
        if rank > best_rank:
            best, best_rank = places[first][0] if places[first][0] <= at else at, rank
    return best
