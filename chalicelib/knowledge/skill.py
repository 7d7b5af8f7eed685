"""For whom a text is written: a guess from its cues and its vocabulary."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, Literal

from chalicelib.knowledge import background

SkillLevel = Literal["beginner", "intermediate", "advanced"]

# Words below which only cues are trusted: vocabulary says nothing yet.
MIN_WORDS: Final = 60
# Mean background IDF of the content words: below is plain language, above is specialist's (measured on our
# labelled texts: 4.4 to 5.2 for introductions, 5.6 to 6.6 for papers).
PLAIN: Final = 4.6
SPECIALIST: Final = 5.9

_BEGINNER: Final = re.compile(
    r"\b(?:beginners?|newbies?|for dummies|tutorial|getting started|get started|introduction to|intro to|an introduction"
    r"|introductory|hello,? world|first steps|step[- ]by[- ]step|basics|the basics of|crash course|from scratch|101"
    r"|no prior (?:knowledge|experience)|for kids|easy to follow|what is an?|learn how to|simple guide|cheat ?sheet)\b",
    re.IGNORECASE,
)
_ADVANCED: Final = re.compile(
    r"\b(?:advanced|in[- ]depth|deep dive|internals|theorem|lemma|corollary|proof of|we prove|asymptotic\w*|NP-(?:hard|complete)"
    r"|state[- ]of[- ]the[- ]art|lock-free|wait-free|formal (?:semantics|verification)|convergence rate|eigen\w+|manifold"
    r"|stochastic|polynomial[- ]time|upper bound|lower bound|complexity class|ablation|we propose|outperforms?|type theory"
    r"|micro-?architecture|linearizab\w+|consensus protocol|hyperparameters?|homomorphi\w+|bayesian|monad\w*)\b",
    re.IGNORECASE,
)


def skill_level(text: str, title: str, words: Sequence[str]) -> SkillLevel:
    """Return the level of a cleaned text whose lower-case content words are `words`.

    Cues in the title weigh three times those in the text; the vocabulary weighs as one cue. No evidence, or
    evidence both ways, is "intermediate".
    """
    balance = _cues(_ADVANCED, text) - _cues(_BEGINNER, text)
    balance += 3 * (_cues(_ADVANCED, title) - _cues(_BEGINNER, title))
    if len(words) >= MIN_WORDS:
        rarity = sum(min(background.idf(word), 8.0) for word in words[:5000]) / min(len(words), 5000)
        balance += (rarity > SPECIALIST) - (rarity < PLAIN)
    if balance >= 2:
        return "advanced"
    return "beginner" if balance <= -2 else "intermediate"


def _cues(pattern: re.Pattern[str], text: str) -> int:
    """Count the different cues of a text's first 20,000 characters, at most 4."""
    return min(4, len({match.lower() for match in pattern.findall(text[:20_000])}))
