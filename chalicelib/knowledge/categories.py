"""The category of a phrase that the lexicon does not know, by its head noun."""

from __future__ import annotations

from typing import Final

from chalicelib.knowledge.lexicon import category_of
from chalicelib.knowledge.tokens import singular

# All categories there are.
CATEGORIES: Final = (
    "language",
    "framework",
    "library",
    "database",
    "platform",
    "tool",
    "protocol",
    "format",
    "method",
    "field",
    "name",
    "concept",
)

_HEADS: Final = {
    "method": "algorithm method technique analysis learning regression classification clustering optimization"
    " optimisation optimizer sort sorting search simulation estimation sampling programming testing"
    " training heuristic encoding compression encryption hashing scheduling recognition detection"
    " segmentation recursion transform pattern strategy therapy surgery treatment procedure recipe"
    " workflow practice benchmarking normalization normalisation parsing",
    "framework": "framework",
    "library": "library sdk package",
    "database": "database datastore",
    "platform": "platform cloud",
    "tool": "tool compiler interpreter debugger editor engine software app application plugin emulator"
    " simulator ide cli linter profiler microscope telescope",
    "protocol": "protocol handshake",
    "format": "format filetype codec schema",
    "language": "language",
    "field": "theory science engineering mathematics physics biology chemistry economics mechanics"
    " linguistics statistics philosophy psychology medicine astronomy geography politics ethics"
    " genetics robotics law management history",
}
_CATEGORY_OF_HEAD: Final = {head: category for category, heads in _HEADS.items() for head in heads.split()}
_ENDINGS: Final = (("ology", "field"), ("onomics", "field"), ("ometry", "field"), ("sql", "database"))


def category(name: str) -> str:
    """Return the category of a display name: the lexicon's, or its head noun's, "name" for a proper name, "concept".

    A head noun decides for phrases only: "sorting algorithm" is a method, while "search" alone may be anything.
    """
    known = category_of(name)
    if known:
        return known
    words = name.split()
    head = singular(words[-1].lower()) if words else ""
    if len(words) > 1 and head in _CATEGORY_OF_HEAD:
        return _CATEGORY_OF_HEAD[head]
    for ending, of_ending in _ENDINGS:
        if head.endswith(ending) and len(head) > len(ending) + 1:
            return of_ending
    if words and all(word[0].isupper() and not word.isupper() for word in words):
        return "name"
    return "concept"
