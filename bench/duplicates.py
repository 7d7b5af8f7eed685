"""Near duplicates, measured: how many planted edits are found, and what one document costs.

    python -m bench.duplicates [--documents 1000 10000] [--brute]

The corpus is generated from the shipped background's words: each document has a subject of its own, and pairs of
documents are edits of each other, of thirteen kinds. `--brute` compares every pair of shingle sets as well.
"""

from __future__ import annotations

import argparse
import itertools
import math
import time
from collections import Counter
from typing import Final, NamedTuple

from bench.texts import Planted, Writer, edits
from chalicelib.knowledge import minhash

_PER_KIND: Final = 50


class Corpus(NamedTuple):
    """Texts, and what is known about them."""

    texts: list[str]
    planted: list[Planted]


def corpus(number: int, *, seed: int = 1) -> Corpus:
    """Return `number` documents, of which up to 650 are edits of others."""
    writer = Writer(seed)
    kinds = edits(writer)
    per_kind = min(_PER_KIND, number // 3 // len(kinds))
    texts = [writer.document() for _ in range(number - per_kind * len(kinds))]
    planted: list[Planted] = []
    for (kind, edit), turn in itertools.product(kinds.items(), range(per_kind)):
        original = len(planted)
        planted.append(Planted(kind, original, len(texts)))
        texts.append(edit(texts[original]))
        assert turn < per_kind
    return Corpus(texts, planted)


# --- Measuring -----------------------------------------------------------------------------------------------


def jaccard(a: set[str], b: set[str]) -> float:
    """Return the exact similarity of two sets of shingles."""
    common = len(a & b)
    return common / (len(a) + len(b) - common)


def found_pairs(signatures: list[minhash.Signature]) -> tuple[set[tuple[int, int]], int]:
    """Return pairs that share a band and are alike by their signatures, and how many shared a band."""
    bands: dict[str, list[int]] = {}
    candidates: set[tuple[int, int]] = set()
    for number, signature in enumerate(signatures):
        for band in signature.bands():
            members = bands.setdefault(band, [])
            candidates.update((other, number) for other in members)
            if len(members) < 64:
                members.append(number)
    alike = {pair for pair in candidates if minhash.likeness(signatures[pair[0]], signatures[pair[1]])}
    return alike, len(candidates)


def measure(number: int, *, brute: bool) -> float:
    """Print the figures of one size; return CPU seconds a document."""
    texts, planted = corpus(number)
    started = time.process_time()
    signatures = [found for text in texts if (found := minhash.signature(text))]
    signed = time.process_time() - started
    started = time.process_time()
    alike, candidates = found_pairs(signatures)
    searched = time.process_time() - started
    print(f"\n{number} documents of {sum(map(len, texts)) // number:,} characters on average")
    print(
        f"  signature {signed / number * 1000:.2f} ms, bands and candidates {searched / number * 1000:.2f} ms"
    )
    print(f"  {candidates / number:.2f} candidates a document, {len(alike)} pairs alike")
    hits = Counter(entry.kind for entry in planted if (entry.original, entry.edit) in alike)
    sizes = Counter(entry.kind for entry in planted)
    for kind, size in sizes.items():
        print(f"    {hits[kind] / size:5.3f}  {kind}")
    print(f"  recall of planted edits {hits.total() / max(1, len(planted)):.3f} of {len(planted)}")
    if brute:
        _against_brute_force(texts, alike)
    return (signed + searched) / number


def _against_brute_force(texts: list[str], alike: set[tuple[int, int]]) -> None:
    sets = [minhash.shingles([minhash.normalised(text)]) for text in texts]
    pairs = [
        (a, b)
        for a, b in itertools.combinations(range(len(sets)), 2)
        if min(len(sets[a]), len(sets[b])) >= 0.6 * max(len(sets[a]), len(sets[b]))
    ]
    exact = {pair: jaccard(sets[pair[0]], sets[pair[1]]) for pair in pairs}
    for least in (minhash.SURE, 0.7, minhash.LEAST):
        true = {pair for pair, similarity in exact.items() if similarity >= least}
        print(
            f"  of {len(true)} pairs of Jaccard >= {least}: {len(true & alike) / max(1, len(true)):.3f} found"
        )
    wrong = sum(exact.get(pair, 0) < minhash.LEAST - 0.1 for pair in alike)
    print(f"  {wrong} of {len(alike)} found pairs are below {minhash.LEAST - 0.1:.1f} by brute force")


def main() -> None:
    """Measure each size, and how the cost grows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--brute", action="store_true", help="compare every pair of the first size, too")
    given = parser.parse_args()
    costs = [
        measure(number, brute=given.brute and place == 0) for place, number in enumerate(given.documents)
    ]
    if len(costs) > 1:
        growth = math.log(costs[-1] / costs[0]) / math.log(given.documents[-1] / given.documents[0])
        print(f"\ncost of a document grows with the library's size to the power of {growth:.2f}")


if __name__ == "__main__":
    main()
