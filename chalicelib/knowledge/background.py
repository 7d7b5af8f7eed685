"""What is known of English before a document is read: word weights, word classes, stop words.

The files in `data/` are read once, at first use (about 40 ms). `bench/background_idf.py` builds the two
gzipped ones; the others are written by hand.
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Final

from chalicelib.knowledge.tokens import stem

DATA: Final = Path(__file__).with_name("data")

# Word classes in word_classes.txt.gz; a proper noun is always capitalised. A word that is not listed is a noun,
# or unknown, which comes to the same.
ADJECTIVE: Final = "J"
PARTICIPLE: Final = "P"
GERUND: Final = "G"
VERB: Final = "V"
ADVERB: Final = "R"
PROPER: Final = "N"


@lru_cache(maxsize=1)
def weights() -> Mapping[str, float]:
    """Return the background IDF by stem: natural logarithm, from about 1 (very common) to `rarest()`."""
    table: dict[str, float] = {}
    for line in _gzipped("background_idf.txt.gz"):
        tenths, _, stems = line.partition("\t")
        table.update(dict.fromkeys(stems.split(" "), int(tenths) / 10))
    return table


@lru_cache(maxsize=1)
def rarest() -> float:
    """Return the IDF of a word that the background text does not have."""
    return max(weights().values()) + 0.5


def idf(word: str) -> float:
    """Return the background IDF of a lower-case word in any of its forms; of a hyphenated one, the mean."""
    known = weights().get(stem(word))
    if known is not None:
        return known
    parts = [part for part in word.split("-") if part]
    return sum(map(idf, parts)) / len(parts) if len(parts) > 1 else rarest()


def is_known(word: str) -> bool:
    """Tell whether the background text has the lower-case word, in any of its forms."""
    return stem(word) in weights()


@lru_cache(maxsize=1)
def word_classes() -> Mapping[str, str]:
    """Return the class of the words that are mostly not common nouns."""
    table: dict[str, str] = {}
    for line in _gzipped("word_classes.txt.gz"):
        code, _, words = line.partition("\t")
        table.update(dict.fromkeys(words.split(" "), code))
    return table


@lru_cache(maxsize=1)
def stop_words() -> Mapping[str, frozenset[str]]:
    """Return the function words by language code (en, de, fr, es, it, pt, nl, ru, ko)."""
    return _sections("stopwords.txt")


@lru_cache(maxsize=1)
def generic_modifiers() -> frozenset[str]:
    """Return the modifiers that say nothing about a subject: new, different, large."""
    return _sections("generic.txt")["modifier"]


@lru_cache(maxsize=1)
def generic_nouns() -> frozenset[str]:
    """Return the nouns that are no concept by themselves: approach, result, system."""
    return _sections("generic.txt")["noun"]


@lru_cache(maxsize=1)
def generic_tails() -> frozenset[str]:
    """Return the general nouns that are cut off the end of a phrase: "a sorting example"."""
    return _sections("generic.txt")["tail"]


@lru_cache(maxsize=1)
def fillers() -> frozenset[str]:
    """Return numbers, units and sounds, in lower case: they end a phrase as function words do."""
    return _sections("generic.txt")["filler"]


@lru_cache(maxsize=1)
def calendar() -> frozenset[str]:
    """Return months and weekdays as they are written: "May" is one, "may" is not."""
    return _sections("generic.txt")["calendar"]


@lru_cache(maxsize=1)
def code_keywords() -> frozenset[str]:
    """Return keywords and usual short names of programming languages: def, self, args."""
    return _sections("generic.txt")["keyword"]


@lru_cache(maxsize=1)
def technical_words() -> frozenset[str]:
    """Return words that only a text on programming has several of: compiler, backend, runtime."""
    return _sections("generic.txt")["cue"]


def text_language(words: list[str]) -> str:
    """Return the code of the language whose function words are most frequent in lower-case `words`.

    "en" where no other language has at least 8 % and more than English.
    """
    head = words[:2000]
    shares = {code: sum(word in stops for word in head) for code, stops in stop_words().items()}
    best = max(shares, key=shares.__getitem__)
    return best if shares[best] > max(shares["en"], 0.08 * len(head)) else "en"


def function_words(language: str) -> frozenset[str]:
    """Return the function words of English and of `language`."""
    return stop_words()["en"] | stop_words()[language]


def stops_for(words: list[str]) -> frozenset[str]:
    """Return the function words of English and of the language of lower-case `words`."""
    return function_words(text_language(words))


def _sections(name: str) -> dict[str, frozenset[str]]:
    """Read a file of `[section]` lines followed by words."""
    found: dict[str, set[str]] = {}
    section = ""
    for line in (DATA / name).read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif not line.startswith("#"):
            found.setdefault(section, set()).update(line.split())
    return {section: frozenset(words) for section, words in found.items()}


def _gzipped(name: str) -> list[str]:
    """Read the lines of a gzipped text file."""
    return gzip.decompress((DATA / name).read_bytes()).decode("utf-8").splitlines()
