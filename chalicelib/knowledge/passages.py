"""What two texts have in common, word for word, and how much that is."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from chalicelib.knowledge.minhash import MAX_CHARACTERS, normalised, shingles
from chalicelib.knowledge.searchwords import fold

# A passage has at least so many words: fewer are the same by chance.
LEAST_WORDS: Final = 8
MAX_PASSAGES: Final = 20
# Of a passage so many characters are shown.
MAX_SHOWN: Final = 600
_WORD: Final = re.compile(r"[^\W_]+")


class Place(NamedTuple):
    """Where a passage stands in a text, in characters, and how it reads there."""

    start: int
    end: int
    text: str


class Passage(NamedTuple):
    """The same words in two texts."""

    words: int
    a: Place
    b: Place


class Comparison(NamedTuple):
    """Two texts side by side."""

    # Jaccard similarity of their character 5-grams, exact, 0 to 1.
    similarity: float
    # The share of each text's 5-grams that the other one has.
    contained_a: float
    contained_b: float
    # The longest first.
    passages: list[Passage]
    # True where one was longer than what was compared.
    cut: bool


def compare(a: str, b: str) -> Comparison:
    """Compare the first `MAX_CHARACTERS` of two texts. Linear in their length."""
    left, right = shingles([normalised(a)]), shingles([normalised(b)])
    common = len(left & right)
    return Comparison(
        similarity=common / max(1, len(left) + len(right) - common),
        contained_a=common / max(1, len(left)),
        contained_b=common / max(1, len(right)),
        passages=common_passages(a[:MAX_CHARACTERS], b[:MAX_CHARACTERS]),
        cut=max(len(a), len(b)) > MAX_CHARACTERS,
    )


def common_passages(a: str, b: str) -> list[Passage]:
    """Return the longest runs of `LEAST_WORDS` and more words that both texts have, at most `MAX_PASSAGES`.

    Greedy, as in diff by unique anchors: each run of words of `a` is looked up at its first place in `b` and
    prolonged; what one passage covers in `a` belongs to no other one.
    """
    words_a, words_b = _words(a), _words(b)
    names_a, names_b = [name for name, _, _ in words_a], [name for name, _, _ in words_b]
    first: dict[tuple[str, ...], int] = {}
    for j in range(len(names_b) - LEAST_WORDS, -1, -1):
        first[tuple(names_b[j : j + LEAST_WORDS])] = j
    found: list[tuple[int, int, int]] = []
    i = 0
    while i <= len(names_a) - LEAST_WORDS:
        j = first.get(tuple(names_a[i : i + LEAST_WORDS]), -1)
        length = _common_length(names_a, i, names_b, j) if j >= 0 else 0
        if length:
            found.append((length, i, j))
        i += length or 1
    found.sort(key=lambda entry: (-entry[0], entry[1]))
    return [
        Passage(length, _place(a, words_a, i, length), _place(b, words_b, j, length))
        for length, i, j in found[:MAX_PASSAGES]
    ]


def _common_length(a: list[str], i: int, b: list[str], j: int) -> int:
    """Return how many words are the same from there on."""
    length = 0
    while i + length < len(a) and j + length < len(b) and a[i + length] == b[j + length]:
        length += 1
    return length


def _words(text: str) -> list[tuple[str, int, int]]:
    return [(fold(match.group()), match.start(), match.end()) for match in _WORD.finditer(text)]


def _place(text: str, words: list[tuple[str, int, int]], first: int, length: int) -> Place:
    start, end = words[first][1], words[first + length - 1][2]
    return Place(start, end, text[start : min(end, start + MAX_SHOWN)])
