"""How near words that were read or heard come to the true ones. Who compares says what a word is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence


def recall(true: Sequence[str], found: Sequence[str]) -> float:
    """Return the share of the true words, each as often as it is there, that were found; order does not count."""
    both = Counter(true) & Counter(found)
    return both.total() / max(1, len(true))


def errors(true: Sequence[str], found: Sequence[str]) -> float:
    """Return the words substituted, left out and put in (Levenshtein), by the number of true words."""
    before = list(range(len(found) + 1))
    for i, word in enumerate(true, 1):
        row = [i]
        for j, other in enumerate(found, 1):
            row.append(min(before[j] + 1, row[-1] + 1, before[j - 1] + (word != other)))
        before = row
    return before[-1] / max(1, len(true))
