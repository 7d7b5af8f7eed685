"""Runs of words that may hold a concept: what stands between function words, verbs and punctuation.

Word classes come from a list that knows each word by its most usual class; what stands before a word corrects it:
"duck" is mostly a verb, "the duck" is none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from chalicelib.knowledge import background
from chalicelib.knowledge.background import ADJECTIVE, ADVERB, GERUND, PARTICIPLE, PROPER, VERB
from chalicelib.knowledge.tokens import BREAK, is_unspaced, singular, stem

# Words of the longest run that is looked into.
MAX_RUN: Final = 8
# Languages whose words have classes here, or, in German, capitals: in others a long run is a clause, not a phrase.
CLASSED: Final = frozenset(("en", "de"))

# What a noun follows, sooner or later.
_ARTICLES: Final = frozenset(("the", "a", "an", "its", "their", "his", "her", "your", "our", "my"))
# What an object begins with: before one, a form in -s is a verb.
_OBJECTS: Final = _ARTICLES | {"each", "every", "such", "these", "those", "this", "all", "any", "some", "no"}
# After these a participle is a verb: "they have just received invoices".
_SUBJECTS: Final = frozenset(
    ("i", "we", "you", "he", "she", "it", "they", "who", "have", "has", "had", "just")
)
# After these and an object stands an infinitive: "let the dough rest", "does the tree grow".
_CAUSES: Final = frozenset(
    (
        "do",
        "does",
        "did",
        "let",
        "lets",
        "make",
        "makes",
        "made",
        "help",
        "helps",
        "can",
        "could",
        "will",
        "would",
    )
)
# After these stands a noun, if not an article, though the word is mostly a verb.
_PREPOSITIONS: Final = frozenset(
    ("of", "in", "on", "by", "with", "from", "into", "for", "as", "than", "between")
)
# Before an adjective or participle these make an adjective of it: "self-locking", "non-uniform".
_PREFIXES: Final = frozenset(
    ("self", "non", "well", "high", "low", "long", "short", "full", "pre", "all", "re")
)
_PARTICLES: Final = re.compile(
    r"[\u3040-\u309f]+|[的是在和了与及之为有不这那我你他她它们也就都而其以于对从被把让或很将一个]"
)


class Run(NamedTuple):
    """Some words in a row."""

    # Index of the first one's token.
    start: int
    # Each with its class; "" is a noun.
    words: list[tuple[str, str]]
    # Punctuation, or nothing, stands on both sides: an item of a list, a line of an address.
    listed: bool = False


def runs(found: Sequence[str], language: str) -> Iterator[Run]:
    """Yield the maximal runs of a token list. `language` is a code of `background.stop_words`."""
    stops = background.function_words(language)
    # German writes nouns with a capital, which serves better than any word list.
    only_nouns = language == "de"
    classes = _Classes(found)
    words: list[tuple[str, str]] = []
    opened = False
    for i, word in enumerate(found):
        if word and is_unspaced(word):
            for piece in _pieces(word):
                yield Run(i, [(piece, "")])
        kind = classes.of(i)
        ends = kind in (VERB, ADVERB) or _is_function(word, stops) or (only_nouns and word[0].islower())
        if words and (ends or len(words) >= MAX_RUN or is_modifier(word)):
            yield Run(i - len(words), words, opened and word == BREAK)
            words = []
        if not ends:
            opens, following = classes.opens(i), classes.at(i + 1)
            opened = opens if not words else opened
            words.append((_decapitalised(word) if opens and not following[:1].isupper() else word, kind))
    if words:
        yield Run(len(found) - len(words), words, opened)


def is_modifier(word: str) -> bool:
    """Tell whether a lower-case word only grades what follows: "new", "largest"."""
    if word in background.generic_modifiers():
        return True
    return word.endswith("est") and len(word) > 5 and background.word_classes().get(word) == ADJECTIVE


class _Classes:
    """The classes of a token list's words, by what stands around them."""

    def __init__(self, found: Sequence[str]) -> None:
        self.found = found
        # Stems that are mostly verbs, and nouns in this text.
        self.nouns: set[str] = set()
        # Whether a verb at this place would break grammar, so that it must be a noun.
        self._nominal = [False] * len(found)
        opened = with_noun = articled = False
        for i, word in enumerate(found):
            lower = word.lower()
            kind = _listed_class(lower) if word else VERB
            if lower in _ARTICLES:
                opened, with_noun = True, False
                articled = not i or found[i - 1].lower() not in _CAUSES
                continue
            # A heading of one word: "Duck".
            alone = word[:1].isupper() and self.at(i - 1) == BREAK == self.at(i + 1)
            # "The duck", "the exclusive lock", "a load test": after a singular noun a verb would end in -s.
            nominal = opened and (not with_noun or (articled and _is_base(lower)))
            if word and kind == VERB and (alone or nominal):
                self._nominal[i] = True
                self.nouns.add(stem(lower))
                kind, opened = "", opened and not with_noun
            if word and kind == "":
                opened = opened and lower == singular(lower) and lower not in background.stop_words()["en"]
                with_noun = True
            elif kind == ADJECTIVE:
                # "Domestic duck": an article is not needed.
                opened, with_noun, articled = True, False, articled and opened
            elif kind not in (ADVERB, PARTICIPLE, GERUND):
                opened = False

    def at(self, i: int) -> str:
        """Return a token, BREAK outside of the list."""
        return self.found[i] if 0 <= i < len(self.found) else BREAK

    def opens(self, i: int) -> bool:
        """Tell whether a token opens a sentence, or stands after punctuation."""
        return self.at(i - 1) == BREAK

    def of(self, i: int) -> str:
        """Return a word's class; a capitalised word inside a sentence is a name, so a noun.

        Breaks, and dotted names or sentences run together, count as verbs: they end a phrase. So does a form in -s
        before an object: "the disc brakes squeal" has a noun, "it brakes the wheel" a verb.
        """
        word, following = self.found[i], self.at(i + 1).lower()
        if not word or "." in word or is_unspaced(word) or word in background.calendar():
            return VERB
        lower, previous = word.lower(), self.at(i - 1).lower()
        if word[0].isupper() and not self.opens(i):
            return ""
        if following in _OBJECTS and lower != singular(lower):
            return VERB
        kind = _listed_class(lower)
        if kind == VERB and self._is_noun_here(i, lower, previous, following):
            return ""
        if kind == PARTICIPLE and previous in _SUBJECTS:
            return VERB
        return kind

    def _is_noun_here(self, i: int, lower: str, previous: str, following: str) -> bool:
        if self._nominal[i]:
            return True
        if stem(lower) not in self.nouns or following in _OBJECTS:
            return False
        return previous in _PREPOSITIONS or (self.opens(i) and lower != singular(lower))


def _is_base(lower: str) -> bool:
    """Tell whether a verb is in the form of its infinitive: "press", not "prints"."""
    return lower == singular(lower) and not lower.endswith(("ed", "ing"))


@lru_cache(maxsize=65_536)
def _listed_class(lower: str) -> str:
    """Return the most usual class of a lower-case word, by its last part where it has hyphens."""
    classes = background.word_classes()
    if "-" in lower and lower not in classes:
        first, _, last = lower.partition("-")[0], "-", lower.rpartition("-")[2]
        kind = classes.get(last, "")
        adjective = kind in (ADJECTIVE, PARTICIPLE) or (kind == GERUND and first in _PREFIXES)
        return ADJECTIVE if adjective else ""
    found = classes.get(lower) or classes.get(singular(lower), "")
    return "" if found == PROPER or (found == ADJECTIVE and lower not in classes) else found


def _is_function(word: str, stops: frozenset[str]) -> bool:
    """Tell whether a word says nothing of a subject: a function word, a number in words, a unit, a sound."""
    lower = word.lower()
    if lower in stops or lower in background.fillers():
        return True
    return "-" in lower and all(part in stops or part in background.fillers() for part in lower.split("-"))


def _decapitalised(word: str) -> str:
    """Lower the capital that only opens a sentence."""
    lower = word.lower()
    ordinary = background.is_known(lower) and background.word_classes().get(lower) != PROPER
    return lower if ordinary and word[1:].islower() else word


def _pieces(run: str) -> list[str]:
    """Cut a run of a script without spaces at particles into pieces of two to eight characters."""
    return [piece for piece in _PARTICLES.split(run) if 2 <= len(piece) <= 8]
