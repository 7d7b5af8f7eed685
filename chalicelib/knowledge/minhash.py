"""How alike two texts are, told from 270 bytes each: one-permutation MinHash over character 5-grams.

Each shingle has one hash, which falls into one of 125 bins; a bin keeps its smallest (Li, Owen and Zhang, One
Permutation Hashing, NIPS 2012), of it 16 bits (Li and König, b-Bit Minwise Hashing, WWW 2010: two that differ agree
by chance once in 65,536). An empty bin borrows from another one (Shrivastava, Optimal Densification for Fast and
Accurate Minwise Hashing, ICML 2017). 16 bands of 4 bins are what a text is found by: two texts of Jaccard similarity
J share a band with a chance of 1 - (1 - J^4)^16, which is .9998 at .8, .89 at .6 and .12 at .3. Each band is a write,
and 25 bands of 5 find no more: of 1,422 pairs of .6 and more among 5,780 real texts .9937 against .9916, with 0.8
instead of 0.5 candidates a document.

Shingles are taken from a bounded part of a text: at its `ANCHORS` words of the smallest hashes, `OCCURRENCES` times
each. A text of so many different words is read whole but for repetitions, a longer one ever more thinly. Two versions
of a long text are read at the same places, wherever something was inserted, and there is no length at which the rule
changes. `Signature.sampled` says when a text had more words than that.
"""

from __future__ import annotations

import re
import struct
import unicodedata
import zlib
from collections.abc import Iterable
from enum import StrEnum
from hashlib import blake2b
from typing import Final, NamedTuple

BANDS: Final = 16
ROWS: Final = 4
BINS: Final = 125
SHINGLE: Final = 5
# Of a longer text so many characters are looked at: some 300 pages.
MAX_CHARACTERS: Final = 1_000_000
# Where shingles are taken: at so many words, so often, over so many characters each.
ANCHORS: Final = 400
OCCURRENCES: Final = 3
CONTEXT: Final = 24

# Jaccard similarities from which two texts are near duplicates for sure, or for a person to judge.
SURE: Final = 0.8
LEAST: Final = 0.6
# One text contains the other: so much of the shorter one is in it, and that one is so much shorter.
CONTAINED: Final = 0.9
SHORTER: Final = 0.8

_GAPS: Final = re.compile(r"[\W_]+")
# More combining marks on one letter than any language has, and those that are too many.
_MARKS: Final = re.compile(r"([\u0300-\u036f]{8})[\u0300-\u036f]+")
# A character of a script without spaces is a word. As in `tokens`.
_UNSPACED: Final = r"\u0e00-\u0eff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD: Final = re.compile(rf"[{_UNSPACED}]|[^ {_UNSPACED}]+")
# Odd, its bits well spread (2^64 over the golden ratio): CRC-32 is linear, its own minima are no fair sample.
_MULTIPLIER: Final = 0x9E3779B97F4A7C15
_MASK: Final = (1 << 64) - 1
_EMPTY: Final = (1 << 32) - 1
_DIGEST_BYTES: Final = 16
_KEPT_BITS: Final = (1 << 16) - 1
_LAYOUT: Final = struct.Struct(f"<{_DIGEST_BYTES}sI{BINS}H")
PACKED_BYTES: Final = _LAYOUT.size
_BAND_BYTES: Final = 2 * ROWS
_SAMPLED_BIT: Final = 1 << 31


class Kind(StrEnum):
    """How two texts are alike."""

    # The same words in the same order; case, spaces and punctuation aside.
    IDENTICAL = "identical"
    # Jaccard similarity of at least `LEAST`.
    NEAR_DUPLICATE = "near_duplicate"
    # One contains the other.
    OVERLAP = "overlap"


class Signature(NamedTuple):
    """What is kept of a text to compare it by."""

    # BLAKE2b of the normalised text.
    digest: bytes
    # Different shingles that were taken.
    shingles: int
    # True where the text has more different words than shingles are taken at.
    sampled: bool
    # Of the smallest hash of each bin the low 16 bits.
    minima: tuple[int, ...]

    def pack(self) -> bytes:
        """Return it as `PACKED_BYTES` bytes."""
        return _LAYOUT.pack(self.digest, self.shingles | (_SAMPLED_BIT if self.sampled else 0), *self.minima)

    @classmethod
    def unpack(cls, data: bytes) -> Signature:
        """Read what `pack` gave."""
        digest, shingles, *minima = _LAYOUT.unpack(data)
        return cls(digest, shingles & ~_SAMPLED_BIT, bool(shingles & _SAMPLED_BIT), tuple(minima))

    def bands(self) -> list[str]:
        """Return the keys of its bands, the band's number first: "07-1f3c…"."""
        packed = self.pack()
        return [f"{band:02d}-{packed_band(packed, band).hex()}" for band in range(BANDS)]


def packed_band(packed: bytes, band: int) -> bytes:
    """Return what two packed signatures have in common if and only if they share a band (its number from 0)."""
    start = _DIGEST_BYTES + 4 + _BAND_BYTES * band
    return packed[start : start + _BAND_BYTES]


class Likeness(NamedTuple):
    """How alike two texts are."""

    kind: Kind
    # Jaccard similarity of their shingles; of an overlap, the share of the shorter text. 0 to 1.
    similarity: float


def normalised(text: str) -> str:
    """Return the words of `text` (NFKC, case folded) with single spaces; of `MAX_CHARACTERS` at most."""
    plain = text[:MAX_CHARACTERS]
    if not plain.isascii():
        # Normalising takes time that is quadratic in the length of a run of combining marks.
        plain = unicodedata.normalize("NFKC", _MARKS.sub(r"\1", plain))[:MAX_CHARACTERS]
    return _GAPS.sub(" ", plain.casefold()).strip()


def signature(text: str) -> Signature | None:
    """Return the signature of `text`, or None where it has fewer characters than one shingle."""
    plain = normalised(text)
    if len(plain) < SHINGLE:
        return None
    spans, sampled = _spans(plain)
    found = shingles(plain[start:end] for start, end in spans)
    digest = blake2b(plain.encode("utf-8", "surrogatepass"), digest_size=_DIGEST_BYTES).digest()
    return Signature(digest, len(found), sampled, _minima(found))


def shingles(parts: Iterable[str]) -> set[str]:
    """Return the different character 5-grams of normalised texts."""
    return {part[i : i + SHINGLE] for part in parts for i in range(len(part) - SHINGLE + 1)}


def estimate(a: Signature, b: Signature) -> float:
    """Return the estimated Jaccard similarity, 0 to 1. Standard error .036 at .8, .044 at .5."""
    return sum(map(int.__eq__, a.minima, b.minima)) / BINS


def likeness(a: Signature, b: Signature, *, least: float = LEAST) -> Likeness | None:
    """Return how two texts are alike, or None: of one subject at most.

    Containment is estimated where both were read whole: of samples the number of shingles says nothing.
    """
    if a.digest == b.digest:
        return Likeness(Kind.IDENTICAL, 1.0)
    jaccard = estimate(a, b)
    small, large = sorted((a.shingles, b.shingles))
    if not (a.sampled or b.sampled) and small < SHORTER * large:
        contained = min(1.0, jaccard * (small + large) / (1 + jaccard) / small)
        if contained >= CONTAINED:
            return Likeness(Kind.OVERLAP, round(contained, 3))
    if jaccard >= least:
        return Likeness(Kind.NEAR_DUPLICATE, round(jaccard, 3))
    return None


def _spans(plain: str) -> tuple[list[tuple[int, int]], bool]:
    """Return where shingles are taken, as merged ranges, and whether words were left out."""
    words = set(_WORD.findall(plain))
    hashes = {word: zlib.crc32(word.encode("utf-8", "surrogatepass")) * _MULTIPLIER & _MASK for word in words}
    sampled = len(words) > ANCHORS
    left = dict.fromkeys(sorted(words, key=lambda word: (hashes[word], word))[:ANCHORS], OCCURRENCES)
    spans: list[tuple[int, int]] = []
    start = end = 0
    for match in _WORD.finditer(plain):
        word = match.group()
        if not left.get(word):
            continue
        left[word] -= 1
        at = match.start()
        if at > end:
            spans.append((start, end))
            start = at
        end = at + CONTEXT + SHINGLE - 1
    return [*spans, (start, end)], sampled


def _minima(found: set[str]) -> tuple[int, ...]:
    """Return the smallest hash of each bin, empty bins filled."""
    minima = [_EMPTY] * BINS
    crc32 = zlib.crc32
    for shingle in found:
        checksum = crc32(shingle.encode("utf-8", "surrogatepass"))
        place = checksum % BINS
        value = (checksum * _MULTIPLIER & _MASK) >> 33
        if value < minima[place]:
            minima[place] = value
    return tuple(minimum & _KEPT_BITS for minimum in _densified(minima))


def _densified(minima: list[int]) -> list[int]:
    """Fill each empty bin from a bin chosen by the empty one's number: the same way for every text."""
    filled = []
    for place, minimum in enumerate(minima):
        tries, value = 0, minimum
        while value == _EMPTY:
            tries += 1
            value = minima[_donor(place, tries)]
        filled.append(value)
    return filled


def _donor(place: int, tries: int) -> int:
    mixed = ((place * 1_000_003 + tries) * _MULTIPLIER & _MASK) * _MULTIPLIER & _MASK
    return (mixed >> 32) * BINS >> 32
