"""Candidate phrases: what stands between stop words, verbs and punctuation, and how often.

The idea is RAKE's (Rose et al. 2010, stop words cut a text into phrases) with word classes in place of a tagger,
nested phrases counted as C-value does (Frantzi et al. 2000: a part of a longer phrase counts by itself only if
it also occurs outside of it), and a background IDF in place of word degree.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from chalicelib.knowledge import background
from chalicelib.knowledge.background import ADJECTIVE, GERUND, PARTICIPLE
from chalicelib.knowledge.terms import UNKNOWN_WEIGHT
from chalicelib.knowledge.tokens import is_unspaced, singular, stem
from chalicelib.knowledge.wordruns import CLASSED, Run, is_modifier, runs

# Words of the longest phrase.
MAX_WORDS: Final = 4
# What a phrase of one to four words weighs against the mean IDF of its words.
LENGTH_WEIGHT: Final = (0.0, 0.8, 1.8, 1.8, 1.8)
# A word that occurs once, alone, is rarely what a text is about.
LONELY_WEIGHT: Final = 0.7
# The beginning of a text names its subject more often than the rest: weight 1.4 at the first word, 1 far on.
LEAD_WEIGHT: Final = 0.4
LEAD_WORDS: Final = 150

# In a language without word classes two words in a row may be anything: they count little more than one.
UNCLASSED_WORDS: Final = 2
UNCLASSED_WEIGHT: Final = 0.6

Key = tuple[str, ...]

# Words that have no singular, or another one.
_PLURAL_ONLY: Final = frozenset(
    (
        "goods",
        "glasses",
        "sunglasses",
        "scissors",
        "trousers",
        "clothes",
        "means",
        "headquarters",
        "operations",
    )
)
_SINGULARS: Final = {
    "leaves": "leaf", "knives": "knife", "wolves": "wolf", "shelves": "shelf", "halves": "half", "loaves": "loaf",
    "lives": "life", "wives": "wife", "thieves": "thief", "calves": "calf", "scarves": "scarf", "hooves": "hoof",
    "mice": "mouse", "geese": "goose", "feet": "foot", "teeth": "tooth", "children": "child", "men": "man",
    "women": "woman", "oxen": "ox", "indices": "index", "vertices": "vertex", "matrices": "matrix", "axes": "axis",
    "criteria": "criterion", "phenomena": "phenomenon", "analyses": "analysis", "hypotheses": "hypothesis",
    "theses": "thesis", "crises": "crisis", "diagnoses": "diagnosis", "fungi": "fungus", "nuclei": "nucleus",
}  # fmt: skip
_KEEP_E: Final = frozenset(("toes", "canoes", "oboes", "foes", "hoes"))
_ACRONYM: Final = re.compile(r"[^\W\d_]\)?[ \n]\(([A-Z][A-Za-z]{1,6}?)s?\)")
_WORDS: Final = re.compile(r"[^\W\d_]+")


@dataclass(slots=True)
class Phrase:
    """A candidate with its evidence."""

    # Stems, one a word: the identity of the phrase.
    key: Key
    # How often it occurs at all, and by itself (not inside a longer phrase).
    total: int = 0
    alone: int = 0
    # How often it stands between punctuation, with nothing beside it.
    listed: int = 0
    # Index of the first token where it occurs, and of the last.
    first: int = 0
    last: int = 0
    # Occurrences by spelling.
    spellings: Counter[str] = field(default_factory=Counter)
    # The different runs in which it is only a part.
    runs: set[Key] = field(default_factory=set)

    @property
    def frequency(self) -> float:
        """Occurrences, those inside longer phrases at half; 0 if it never occurs by itself nor in two runs."""
        if not self.alone and len(self.runs) < 2:
            return 0.0
        return self.alone + (self.total - self.alone) / 2


def phrases(
    found: Sequence[str], language: str, explained: dict[str, Key] | None = None
) -> dict[Key, Phrase]:
    """Return the candidates of a token list by key.

    `language` is a code of `background.stop_words`; `explained` are the acronyms that stand for a phrase.
    """
    candidates: dict[Key, Phrase] = {}
    most = MAX_WORDS if language in CLASSED else UNCLASSED_WORDS
    for run in runs(found, language):
        first = run.words[0][0]
        if is_unspaced(first):
            _count(candidates, (first,), (first,), run.start, first)
            continue
        _count_run(candidates, run, explained or {}, most)
    return candidates


def acronyms(text: str) -> dict[str, Key]:
    """Return acronyms that cleaned text explains, "support vector machine (SVM)": lower-case acronym to key."""
    explained: dict[str, Key] = {}
    for match in _ACRONYM.finditer(text):
        letters = match[1].lower()
        before = text[max(0, match.start() - 200) : match.start() + 1].lower()
        words = list(_WORDS.finditer(before))[-len(letters) :]
        if "".join(word[0][0] for word in words) == letters:
            # Hyphens join what the letters part: "anti-inflammatory" is one word, as it is elsewhere in the text.
            explained[letters] = tuple(map(stem, before[words[0].start() :].split()))
    return explained


def score(phrase: Phrase, language: str = "en") -> float:
    """Return how well a phrase stands for its text: log frequency × mean IDF × length × position.

    About 5 for a rather rare word that occurs once, 10 for a two-word term, 30 and more for a subject. The
    weights were chosen on labelled texts (tests/unit/labelled_texts.py).
    """
    frequency = phrase.frequency
    if not frequency:
        return 0.0
    words = phrase.key
    weight = sum(min(background.weights().get(word, UNKNOWN_WEIGHT), UNKNOWN_WEIGHT) for word in words) / len(
        words
    )
    # What an acronym stands for may have more words than a phrase.
    length = LENGTH_WEIGHT[min(len(words), MAX_WORDS)]
    if len(words) == 1 and phrase.total == 1:
        length *= LONELY_WEIGHT
    if len(words) > 1 and language not in CLASSED:
        length *= UNCLASSED_WEIGHT
    lead = 1 + LEAD_WEIGHT * math.exp(-phrase.first / LEAD_WORDS)
    return math.log2(1 + frequency) * weight * length * lead


def display_name(phrase: Phrase) -> str:
    """Return the phrase as a person would write it: in the singular, and in lower case unless it is mostly not.

    Headings capitalise what is no name, so a third of lower-case mentions is enough.
    """
    lower = Counter({spelling: count for spelling, count in phrase.spellings.items() if spelling.islower()})
    mostly_lower = 3 * lower.total() >= phrase.spellings.total()
    name = min((lower if mostly_lower else phrase.spellings).items(), key=lambda item: (-item[1], item[0]))[0]
    head, space, last = name.rpartition(" ")
    counted = last.islower() and background.is_known(last) and last not in _PLURAL_ONLY
    return head + space + (_one(last) if counted else last)


def _one(plural: str) -> str:
    """Return the singular of a known lower-case word as it is written; `singular` only has to tell forms apart."""
    if plural in _SINGULARS:
        return _SINGULARS[plural]
    if plural.endswith("oes") and not plural.endswith("shoes") and plural not in _KEEP_E:
        return plural[:-2]
    return singular(plural)


def _count_run(candidates: dict[Key, Phrase], run: Run, short: dict[str, Key], most: int) -> None:
    """Count a trimmed run and every phrase of at most `most` words within it."""
    lo, hi = _trimmed(run.words)
    words = [word for word, _ in run.words[lo:hi]]
    start = run.start + lo
    if len(words) == 1 and words[0].lower().removesuffix("s") in short:
        long = short[words[0].lower().removesuffix("s")]
        _count(candidates, long, long, start, "")
        return
    stems = tuple(stem(word.lower()) for word in words)
    for i in range(len(words)):
        for j in range(i + 1, min(i + most, len(words)) + 1):
            whole = j - i == len(words)
            if whole or _is_phrase(run.words[lo + i : lo + j]):
                phrase = _count(candidates, stems[i:j], stems, start + i, " ".join(words[i:j]))
                phrase.listed += whole and run.listed


def _count(candidates: dict[Key, Phrase], key: Key, run: Key, start: int, spelling: str) -> Phrase:
    phrase = candidates.get(key)
    if phrase is None:
        phrase = candidates[key] = Phrase(key, first=start)
    phrase.total += 1
    phrase.last = start
    if key == run:
        phrase.alone += 1
    elif len(phrase.runs) < 2:
        phrase.runs.add(run)
    if spelling:
        phrase.spellings[spelling] += 1
    return phrase


def _trimmed(run: list[tuple[str, str]]) -> tuple[int, int]:
    """Return the bounds of a run without general words at either end: "new sorting algorithm example"."""
    lo, hi = 0, len(run)
    tails = background.generic_tails()
    while hi > 0 and (
        run[hi - 1][1] in (ADJECTIVE, PARTICIPLE, GERUND) or singular(run[hi - 1][0].lower()) in tails
    ):
        hi -= 1
    while lo < hi and (is_modifier(run[lo][0]) or run[lo][1] == GERUND):
        lo += 1
    return (lo, hi) if lo < hi and _is_phrase(run[lo:hi]) else (0, 0)


def _is_phrase(words: list[tuple[str, str]]) -> bool:
    """Tell whether words may be a concept: a noun at the end, nothing general at the ends, not all general."""
    first, last = words[0], words[-1]
    if last[1] or first[1] == GERUND or is_modifier(first[0]):
        return False
    nouns = background.generic_nouns()
    if any(len(word) == 1 and word.islower() and word.isascii() for word in (first[0], last[0])):
        return False
    if len({word.lower() for word, _ in words}) < len(words):
        return False
    if len(words) == 1 and len(first[0]) < 3 and first[0].isascii() and not first[0].isupper():
        return False
    if len(words) == 1 == len(first[0]) or first[0].isdecimal():
        return False
    if len(words) > 1 and singular(last[0].lower()) in background.generic_tails():
        return False
    return any(singular(word.lower()) not in nouns and not is_modifier(word.lower()) for word, _ in words)
