"""All near duplicates of a library, found anew from the documents' signatures: for pairs that were missed.

Documents are read page by page, 270 bytes of each are kept; then band by band those that share one are compared,
each with `bands.MAX_CANDIDATES` others at most. Near-linear: no document is compared with all others.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

import msgspec

from chalicelib.aws.expressions import Item
from chalicelib.aws.table import Table
from chalicelib.knowledge.minhash import BANDS, PACKED_BYTES, Signature, likeness, packed_band
from chalicelib.library.bands import MAX_CANDIDATES, MAX_MEMBERS
from chalicelib.library.documents import document_key, partition
from chalicelib.library.pairs import KEPT, MAX_PAIRS, Pair, pair_of

PAGE: Final = 200


class Scan(msgspec.Struct, kw_only=True):
    """How far the reading is; what a checkpoint holds."""

    # Sort key of the last row that was read; empty: nothing yet.
    after: str = ""
    # Ids and packed signatures, in the same order.
    ids: list[str] = []
    signatures: list[bytes] = []
    done: bool = False


def read_page(table: Table, owner: str, scan: Scan) -> None:
    """Read the next page of documents into `scan`."""
    start: Item | None = {"pk": partition(owner), "sk": scan.after} if scan.after else None
    page = table.query(
        ("pk", partition(owner)),
        sort=("sk", "begins_with", document_key(owner, "")[1]),
        limit=PAGE,
        start=start,
    )
    for item in page.items:
        if len(packed := item.get("signature", b"")) == PACKED_BYTES:
            scan.ids.append(item["doc_id"])
            scan.signatures.append(bytes(packed))
    scan.done = page.next_key is None
    if page.items:
        scan.after = page.items[-1]["sk"]


def alike(scan: Scan) -> Iterator[Pair]:
    """Yield the pairs of documents that are alike, those of a document with its `MAX_PAIRS` most like older ones."""
    # Unpacked, a hundred thousand signatures take 450 MB.
    unpacked = lru_cache(maxsize=4096)(lambda number: Signature.unpack(scan.signatures[number]))
    met: dict[int, set[int]] = defaultdict(set)
    found: dict[int, list[Pair]] = defaultdict(list)
    for band in range(BANDS):
        members: dict[bytes, list[int]] = defaultdict(list)
        for number, packed in enumerate(scan.signatures):
            others = members[packed_band(packed, band)]
            for other in others:
                if other in met[number] or len(met[number]) >= MAX_CANDIDATES:
                    continue
                met[number].add(other)
                if kind := likeness(unpacked(number), unpacked(other), least=KEPT):
                    found[number].append(pair_of(scan.ids[number], scan.ids[other], kind))
            if len(others) < MAX_MEMBERS:
                others.append(number)
    for pairs in found.values():
        yield from sorted(pairs, key=lambda pair: (pair.similarity, pair.older), reverse=True)[:MAX_PAIRS]
