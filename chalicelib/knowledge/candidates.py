"""Candidate phrases: what stands between stop words, verbs and punctuation, and how often.

The idea is RAKE's (Rose et al. 2010, stop words cut a text into phrases) with word classes in place of a tagger,
nested phrases counted as C-value does (Frantzi et al. 2000: a part of a longer phrase counts by itself only if
it also occurs outside of it), and a background IDF in place of word degree.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from chalicelib.knowledge import background
from chalicelib.knowledge.background import ADJECTIVE, ADVERB, GERUND, PARTICIPLE, PROPER, VERB
from chalicelib.knowledge.terms import UNKNOWN_WEIGHT
from chalicelib.knowledge.tokens import BREAK, is_unspaced, singular, stem

# Words of the longest phrase, and of the longest run that is looked into.
MAX_WORDS: Final = 4
MAX_RUN: Final = 8
# What a phrase of one to four words weighs against the mean IDF of its words.
LENGTH_WEIGHT: Final = (0.0, 1.0, 1.8, 1.8, 1.8)
# A word that occurs once, alone, is rarely what a text is about.
LONELY_WEIGHT: Final = 0.7
# The beginning of a text names its subject more often than the rest: weight 1.4 at the first word, 1 far on.
LEAD_WEIGHT: Final = 0.4
LEAD_WORDS: Final = 150

_ARTICLES: Final = frozenset(("the", "a", "an", "its", "their", "his", "her", "your", "our", "my"))

Key = tuple[str, ...]

_ACRONYM: Final = re.compile(r"[^\W\d_]\)?[ \n]\(([A-Z][A-Za-z]{1,6}?)s?\)")
_WORDS: Final = re.compile(r"[^\W\d_]+")
_PARTICLES: Final = re.compile(
    r"[\u3040-\u309f]+|[的是在和了与及之为有不这那我你他她它们也就都而其以于对从被把让或很将一个]"
)


@dataclass(slots=True)
class Phrase:
    """A candidate with its evidence."""

    # Stems, one a word: the identity of the phrase.
    key: Key
    # How often it occurs at all, and by itself (not inside a longer phrase).
    total: int = 0
    alone: int = 0
    # Index of the first token where it occurs.
    first: int = 0
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
    for start, run in _runs(found, language):
        if is_unspaced(run[0][0]):
            _count(candidates, (run[0][0],), (run[0][0],), start, run[0][0])
            continue
        _count_run(candidates, run, start, explained or {})
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


def score(phrase: Phrase) -> float:
    """Return how well a phrase stands for its text: log frequency × mean IDF × length × position.

    About 5 for a rather rare word that occurs once, 10 for a two-word term, 30 and more for a subject. The
    weights were chosen on the labelled texts of tests/unit/test_concepts.py.
    """
    frequency = phrase.frequency
    if not frequency:
        return 0.0
    words = phrase.key
    weight = sum(min(background.weights().get(word, UNKNOWN_WEIGHT), UNKNOWN_WEIGHT) for word in words) / len(
        words
    )
    # An acronym may stand for more words than a phrase has.
    length = LENGTH_WEIGHT[min(len(words), MAX_WORDS)] * (
        LONELY_WEIGHT if len(words) == 1 and phrase.total == 1 else 1.0
    )
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
    return head + space + (singular(last) if last.islower() and background.is_known(last) else last)


def _runs(found: Sequence[str], language: str) -> Iterable[tuple[int, list[tuple[str, str]]]]:
    """Yield the maximal runs of (word, class) between breaks, each with the index of its first token."""
    stops = background.function_words(language)
    only_nouns = (
        language == "de"
    )  # German writes nouns with a capital, which serves better than any word list
    run: list[tuple[str, str]] = []
    previous = BREAK
    for i, word in enumerate(found):
        if word and is_unspaced(word):
            for piece in _pieces(word):
                yield i, [(piece, "")]
        opens, previous = previous == BREAK, word
        kind = _class(word, opens, found[i + 1] if i + 1 < len(found) else BREAK)
        ends = kind in (VERB, ADVERB) or word.lower() in stops or (only_nouns and word[0].islower())
        if run and (ends or len(run) >= MAX_RUN or word in background.generic_modifiers()):
            yield i - len(run), run
            run = []
        if not ends:
            following = found[i + 1] if i + 1 < len(found) else BREAK
            run.append((_decapitalised(word) if opens and not following[:1].isupper() else word, kind))
    if run:
        yield len(found) - len(run), run


def _class(word: str, opens: bool, following: str) -> str:
    """Return a word's class; a capitalised word inside a sentence is a name, so a noun.

    Breaks, and dotted names or sentences run together, count as verbs: they end a phrase. So does a form in -s
    before an article: "the disc brakes squeal" has a noun, "it brakes the wheel" a verb.
    """
    if not word or "." in word or is_unspaced(word):
        return VERB
    lower = word.lower()
    if word[0].isupper() and not opens:
        return ""
    if following in _ARTICLES and lower != singular(lower):
        return VERB
    classes = background.word_classes()
    found = classes.get(lower) or classes.get(singular(lower), "")
    return "" if found == PROPER or (found == ADJECTIVE and lower not in classes) else found


def _decapitalised(word: str) -> str:
    """Lower the capital that only opens a sentence."""
    lower = word.lower()
    ordinary = background.is_known(lower) and background.word_classes().get(lower) != PROPER
    return lower if ordinary and word[1:].islower() else word


def _count_run(
    candidates: dict[Key, Phrase], run: list[tuple[str, str]], start: int, short: dict[str, Key]
) -> None:
    """Count a trimmed run and every phrase within it."""
    lo, hi = _trimmed(run)
    words = [word for word, _ in run[lo:hi]]
    if len(words) == 1 and words[0].lower().removesuffix("s") in short:
        long = short[words[0].lower().removesuffix("s")]
        _count(candidates, long, long, start, "")
        return
    stems = tuple(stem(word.lower()) for word in words)
    for i in range(len(words)):
        for j in range(i + 1, min(i + MAX_WORDS, len(words)) + 1):
            whole = j - i == len(words)
            if whole or _is_phrase(run[lo + i : lo + j]):
                _count(candidates, stems[i:j], stems, start + lo + i, " ".join(words[i:j]))


def _count(candidates: dict[Key, Phrase], key: Key, run: Key, start: int, spelling: str) -> None:
    phrase = candidates.get(key)
    if phrase is None:
        phrase = candidates[key] = Phrase(key, first=start)
    phrase.total += 1
    if key == run:
        phrase.alone += 1
    elif len(phrase.runs) < 2:
        phrase.runs.add(run)
    if spelling:
        phrase.spellings[spelling] += 1


def _trimmed(run: list[tuple[str, str]]) -> tuple[int, int]:
    """Return the bounds of a run without general words at either end: "new sorting algorithm example"."""
    lo, hi = 0, len(run)
    tails = background.generic_tails()
    while hi > 0 and (
        run[hi - 1][1] in (ADJECTIVE, PARTICIPLE, GERUND) or singular(run[hi - 1][0].lower()) in tails
    ):
        hi -= 1
    while lo < hi and (run[lo][0] in background.generic_modifiers() or run[lo][1] == GERUND):
        lo += 1
    return (lo, hi) if lo < hi and _is_phrase(run[lo:hi]) else (0, 0)


def _is_phrase(words: list[tuple[str, str]]) -> bool:
    """Tell whether words may be a concept: a noun at the end, nothing general at the ends, not all general."""
    first, last = words[0], words[-1]
    if last[1] or first[1] == GERUND or first[0] in background.generic_modifiers():
        return False
    nouns = background.generic_nouns()
    if len(words) == 1 and len(first[0]) < 3 and first[0].isascii() and not first[0].isupper():
        return False
    if len(words) == 1 == len(first[0]) or first[0].isdecimal():
        return False
    if len(words) > 1 and singular(last[0].lower()) in background.generic_tails():
        return False
    return any(
        singular(word.lower()) not in nouns and word.lower() not in background.generic_modifiers()
        for word, _ in words
    )


def _pieces(run: str) -> list[str]:
    """Cut a run of a script without spaces at particles into pieces of two to eight characters."""
    return [piece for piece in _PARTICLES.split(run) if 2 <= len(piece) <= 8]
