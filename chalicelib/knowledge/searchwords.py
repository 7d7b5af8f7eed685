"""From text and questions to what the search compares: folded words, their terms, and how telling each is.

A word is folded (case and accents away), a term is its stem, and a run of a script without spaces becomes its
overlapping pairs of characters. A text's terms come with an impact: the part of BM25 that depends on this text
alone (Robertson and Zaragoza, The Probabilistic Relevance Framework, 2009, equation 3.15), for an average length
that is fixed, so that a document's impacts never change as the library grows.
"""

from __future__ import annotations

import heapq
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Final

import msgspec

from chalicelib.errors import InvalidRequest
from chalicelib.knowledge import background
from chalicelib.knowledge.tokens import is_unspaced, stem, subwords

# Of a longer text so many characters are found: some 300 pages. And so many different terms, the most frequent.
MAX_CHARACTERS: Final = 1_000_000
MAX_TERMS: Final = 10_000
MAX_TERM: Final = 32
# BM25's usual constants; the average length is in words.
K1: Final = 1.2
B: Final = 0.75
AVERAGE_WORDS: Final = 400
# A word of the title or file name counts like so many in the text.
NAME_WEIGHT: Final = 4
# The largest impact.
FULL: Final = 255
# Of a question.
MAX_WORDS: Final = 16
MIN_PREFIX: Final = 2

# Characters of scripts without spaces, as in `tokens`.
UNSPACED: Final = r"\u0e00-\u0eff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD: Final = re.compile(rf"[{UNSPACED}]+|[^\W_{UNSPACED}]+")
_MARKS: Final = re.compile(r"[\u0300-\u036f]+")
_HUMPS: Final = re.compile(r"\b[a-zA-Z]{1,30}[a-z][A-Z][a-zA-Z]{0,30}\b")
_PART: Final = re.compile(r'"([^"]*)"?|(\S+)')


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What is searched for."""

    # Terms that a document should have.
    terms: tuple[str, ...] = ()
    # Beginnings of words, of which it should have some.
    prefixes: tuple[str, ...] = ()
    # Folded words that must stand side by side in this order.
    phrases: tuple[tuple[str, ...], ...] = ()
    # Words that were given and are too common to look for.
    ignored: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether nothing is left to look for."""
        return not (self.terms or self.prefixes)


def fold(text: str) -> str:
    """Return `text` in lower case without accents (NFKD): "Café" → "cafe"."""
    if text.isascii():
        return text.lower()
    # Marks are taken out beforehand, too: normalising takes time quadratic in a run of them.
    return _MARKS.sub("", unicodedata.normalize("NFKD", _MARKS.sub("", text))).casefold()


def words(folded: str) -> Iterator[str]:
    """Yield the words of folded text in order; of a run without spaces, its pairs of characters."""
    for word in _WORD.findall(folded):
        if is_unspaced(word) and len(word) > 1:
            yield from (word[i : i + 2] for i in range(len(word) - 1))
        else:
            yield word


@lru_cache(maxsize=65_536)
def term(word: str) -> str:
    """Return the term of a folded word."""
    return (stem(word) if word.isascii() and word.isalpha() else word)[:MAX_TERM]


def impacts(text: str, names: Sequence[str] = ()) -> dict[str, int]:
    """Return the terms of a text and its names (title, file name) with their impacts, 1 to `FULL`.

    Function words of English and of the text's language are left out.
    """
    plain = text[:MAX_CHARACTERS]
    found = list(words(fold(plain)))
    stops = _folded_stops(background.text_language(found[:2000]))
    counts = Counter(term(word) for word in found if word not in stops)
    for whole in _HUMPS.findall(plain):
        counts.update(
            term(part) for part in map(fold, subwords(whole)) if len(part) > 2 and part not in stops
        )
    for name in names:
        for word in words(fold(name)):
            if word not in stops:
                counts[term(word)] += NAME_WEIGHT
    kept = counts.most_common(MAX_TERMS)
    dampening = K1 * (1 - B + B * len(found) / AVERAGE_WORDS)
    return {word: max(1, round(FULL * count / (count + dampening))) for word, count in kept}


def question(text: str) -> Question:
    """Read what a person typed: words, "quoted phrases", begin*. Raise InvalidRequest for too much or too little."""
    loose: list[str] = []
    prefixes: list[str] = []
    phrases: list[tuple[str, ...]] = []
    for quoted, part in _PART.findall(fold(text)):
        if part.endswith("*") and (begin := "".join(_WORD.findall(part))):
            prefixes.append(_checked_prefix(begin))
        elif part:
            loose += words(part)
        elif phrase := tuple(_WORD.findall(quoted)):
            phrases.append(phrase)
    given = [*loose, *(word for phrase in phrases for word in words(" ".join(phrase)))]
    if not given and not prefixes:
        raise InvalidRequest("q has no letter or digit.", field="q")
    stops = _folded_stops(background.text_language(given))
    wanted = dict.fromkeys(term(word) for word in given if word not in stops)
    if len(wanted) + len(prefixes) > MAX_WORDS:
        raise InvalidRequest(f"q has more than {MAX_WORDS} words.", field="q")
    return Question(
        terms=tuple(wanted),
        prefixes=tuple(dict.fromkeys(prefixes)),
        phrases=tuple(phrase for phrase in phrases if len(phrase) > 1),
        ignored=tuple(dict.fromkeys(word for word in given if word in stops)),
    )


def phrase_pattern(phrase: Iterable[str]) -> re.Pattern[str]:
    """Return what finds folded words side by side in folded text, whatever stands between that is no word."""
    return re.compile(r"(?<![^\W_])" + r"[\W_]+".join(map(re.escape, phrase)) + r"(?![^\W_])")


def best(scores: dict[str, float], number: int) -> list[tuple[float, str]]:
    """Return the `number` best (score, id), of equals the newer id first."""
    return heapq.nlargest(number, ((score, name) for name, score in scores.items()))


def _checked_prefix(begin: str) -> str:
    if len(begin) < MIN_PREFIX:
        raise InvalidRequest(f"A beginning of a word has at least {MIN_PREFIX} letters: da*.", field="q")
    return begin[:MAX_TERM]


@lru_cache(maxsize=16)
def _folded_stops(language: str) -> frozenset[str]:
    return frozenset(fold(word) for word in background.function_words(language))
