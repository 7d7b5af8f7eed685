"""For whom a text is written: a guess from its cues and its vocabulary."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, Literal

from chalicelib.knowledge import background
from chalicelib.knowledge.terms import UNKNOWN_WEIGHT

SkillLevel = Literal["beginner", "intermediate", "advanced"]

# Words below which only cues are trusted: vocabulary says nothing yet.
MIN_WORDS: Final = 60
# Mean background IDF of the content words: below is plain language, above is a specialist's. Measured: 4.7 to 5.2 on
# chapters of two introductions to programming languages, 5.0 to 6.1 on pages for their experts and on a guide to
# machine learning. The ranges overlap, so this is one cue among others and decides nothing alone.
PLAIN: Final = 4.8
SPECIALIST: Final = 5.8
# Below this share of words that the background has, the text is of another language, and the mean says nothing.
KNOWN_SHARE: Final = 0.7

_BEGINNER: Final = (
    r"(?i)\b(?:beginners?|newbies?|for dummies|tutorial|getting started|get started|introduction to|intro to"
    r"|an introduction"
    r"|introductory|hello,? world|first steps|step[- ]by[- ]step|basics|crash course|from scratch|101"
    r"|no prior (?:knowledge|experience)|for kids|easy to follow|what is an?|learn how to|simple guide"
    r"|cheat ?sheet)\b"
)
_ADVANCED: Final = (
    r"(?i)\b(?:advanced|in[- ]depth|deep dive|internals|theorem|lemma|corollary|proof of|we prove|asymptotic\w*"
    r"|NP-(?:hard|complete)"
    r"|state[- ]of[- ]the[- ]art|lock-free|wait-free|formal (?:semantics|verification)|convergence rate|eigen\w+"
    r"|manifold"
    r"|stochastic|polynomial[- ]time|upper bound|lower bound|complexity class|ablation|we propose|outperforms?"
    r"|type theory"
    r"|micro-?architecture|linearizab\w+|consensus protocol|hyperparameters?|homomorphi\w+|bayesian|monad\w*)\b"
)


def skill_level(text: str, title: str, words: Sequence[str]) -> SkillLevel:
    """Return the level of a cleaned text whose lower-case content words are `words`.

    Cues in the title weigh three times those in the text; the vocabulary weighs as one cue. No evidence, or
    evidence both ways, is "intermediate".
    """
    balance = _cues(_ADVANCED, text) - _cues(_BEGINNER, text)
    balance += 3 * (_cues(_ADVANCED, title) - _cues(_BEGINNER, title))
    balance += _vocabulary(words[:5000])
    if balance >= 2:
        return "advanced"
    return "beginner" if balance <= -2 else "intermediate"


def _vocabulary(words: Sequence[str]) -> int:
    """Return 1 for a specialist's vocabulary, -1 for plain language, 0 between and where it cannot be told."""
    if len(words) < MIN_WORDS or sum(map(background.is_known, words)) < KNOWN_SHARE * len(words):
        return 0
    rarity = sum(min(background.idf(word), UNKNOWN_WEIGHT) for word in words) / len(words)
    return (rarity > SPECIALIST) - (rarity < PLAIN)


def _cues(pattern: str, text: str) -> int:
    """Count the different cues of a text's first 20,000 characters, at most 4."""
    return min(4, len({match.lower() for match in re.findall(pattern, text[:20_000])}))
