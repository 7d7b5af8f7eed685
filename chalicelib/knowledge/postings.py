"""A segment: the terms of some documents as one immutable file, read in blocks.

A file has blocks of document ids, then blocks of terms in order. A directory, kept apart from the file, says where
each block is and with what term it begins, so that a search reads one block for each of its terms and no more.

A term's postings are two arrays: the numbers of the documents (32-bit) and their impacts (8-bit). They are decoded
at the speed of C; zlib takes out what the fixed width wastes.
"""

from __future__ import annotations

import heapq
import sys
import zlib
from array import array
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Final, NamedTuple

import msgspec

# Ids of so many documents make a block.
DOCUMENTS_PER_BLOCK: Final = 2048
# A block of terms has about so many bytes before it is packed, and a file at most about so many blocks.
BLOCK_BYTES: Final = 16 * 1024
MAX_BLOCKS: Final = 1000
# Terms that one beginning may stand for; the first in the alphabet are taken.
MAX_EXPANDED: Final = 200
_SWAP: Final = sys.byteorder == "big"

# From (offset, length) to those bytes of the file.
Read = Callable[[int, int], bytes]


class Postings(NamedTuple):
    """Where a term occurs."""

    # Numbers of documents within the segment, in no order.
    numbers: Sequence[int]
    # Impact in each, 1 to 255.
    impacts: bytes


class Directory(msgspec.Struct, frozen=True, kw_only=True):
    """What a segment's file holds."""

    # Number of documents.
    documents: int
    # Offset and length of each block of document ids.
    ids: list[tuple[int, int]]
    # First term, offset and length of each block of terms.
    terms: list[tuple[str, int, int]]

    def pack(self) -> bytes:
        """Return it as bytes."""
        return zlib.compress(msgspec.msgpack.encode(self))

    @classmethod
    def unpack(cls, data: bytes) -> Directory:
        """Read what `pack` gave."""
        return msgspec.msgpack.decode(zlib.decompress(data), type=cls)


class Segment:
    """A segment as it is read."""

    def __init__(self, directory: Directory, read: Read) -> None:
        self.directory = directory
        self._read = read

    def find(self, term: str) -> Postings | None:
        """Return where a term occurs, or None. Reads one block."""
        place = bisect_right(self.directory.terms, term, key=lambda block: block[0]) - 1
        if place < 0:
            return None
        return next((postings for name, postings in self._block(place) if name == term), None)

    def begins(self, prefix: str) -> Iterator[tuple[str, Postings]]:
        """Yield terms that begin with `prefix`, at most `MAX_EXPANDED`."""
        place = max(0, bisect_right(self.directory.terms, prefix, key=lambda block: block[0]) - 1)
        left = MAX_EXPANDED
        for name, postings in self._terms(place):
            if name > prefix and not name.startswith(prefix):
                return
            if name.startswith(prefix):
                yield name, postings
                left -= 1
            if not left:
                return

    def ids(self, numbers: Iterable[int]) -> dict[int, str]:
        """Return the ids of documents by their numbers. Reads the blocks that hold them."""
        found = {}
        for block, members in groupby(sorted(numbers), key=lambda number: number // DOCUMENTS_PER_BLOCK):
            names = self._ids(block)
            found.update({number: names[number % DOCUMENTS_PER_BLOCK] for number in members})
        return found

    def all_ids(self) -> list[str]:
        """Return the ids of all documents, in the order of their numbers."""
        return [name for block in range(len(self.directory.ids)) for name in self._ids(block)]

    def all_terms(self) -> Iterator[tuple[str, Postings]]:
        """Yield every term in order."""
        return self._terms(0)

    def _terms(self, place: int) -> Iterator[tuple[str, Postings]]:
        for number in range(place, len(self.directory.terms)):
            yield from self._block(number)

    def _ids(self, block: int) -> list[str]:
        return msgspec.msgpack.decode(zlib.decompress(self._read(*self.directory.ids[block])), type=list[str])

    def _block(self, place: int) -> Iterator[tuple[str, Postings]]:
        _, offset, length = self.directory.terms[place]
        packed = zlib.decompress(self._read(offset, length))
        for name, raw, impacts in msgspec.msgpack.decode(packed, type=list[tuple[str, bytes, bytes]]):
            numbers = array("I", raw)
            if _SWAP:
                numbers.byteswap()
            yield name, Postings(numbers, impacts)


class Written(NamedTuple):
    """A segment as it was made."""

    body: bytes
    directory: Directory


def build(documents: Mapping[str, Mapping[str, int]]) -> Segment:
    """Return a segment of documents' impacts by term, held in memory."""
    ids = list(documents)
    table: dict[str, tuple[array[int], bytearray]] = {}
    for number, impacts in enumerate(documents.values()):
        for name, impact in impacts.items():
            numbers, values = table.setdefault(name, (array("I"), bytearray()))
            numbers.append(number)
            values.append(impact)
    terms = ((name, Postings(numbers, bytes(values))) for name, (numbers, values) in sorted(table.items()))
    return in_memory(_write(ids, terms, BLOCK_BYTES))


def in_memory(written: Written) -> Segment:
    """Return a segment whose whole file is at hand."""
    return Segment(written.directory, lambda offset, length: written.body[offset : offset + length])


def merge(segments: Sequence[Segment], *, sizes: int, without: Collection[str] = ()) -> Written | None:
    """Return one file of all of them without those documents; None where none is left.

    `sizes` is how many bytes their files have together. Terms are read and written block by block.
    """
    ids: list[str] = []
    streams = []
    for source, segment in enumerate(segments):
        renumbered = []
        for name in segment.all_ids():
            renumbered.append(-1 if name in without else len(ids))
            ids += [] if name in without else [name]
        streams.append(_renumbered(source, segment, renumbered))
    if not ids:
        return None
    # By term, then by segment: `Postings` are never compared.
    ordered = heapq.merge(*streams, key=lambda entry: entry[:2])
    terms = (
        (name, _joined([postings for _, _, postings in entries]))
        for name, entries in groupby(ordered, key=lambda entry: entry[0])
    )
    return _write(ids, terms, max(BLOCK_BYTES, 2 * sizes // MAX_BLOCKS))


def _renumbered(source: int, segment: Segment, numbers: list[int]) -> Iterator[tuple[str, int, Postings]]:
    whole = -1 not in numbers
    for name, postings in segment.all_terms():
        moved = array("I", [numbers[number] for number in postings.numbers if numbers[number] >= 0])
        impacts = postings.impacts
        if not whole:
            pairs = zip(postings.numbers, impacts, strict=True)
            impacts = bytes(impact for number, impact in pairs if numbers[number] >= 0)
        if moved:
            yield name, source, Postings(moved, impacts)


def _joined(parts: list[Postings]) -> Postings:
    numbers = array("I")
    for part in parts:
        numbers.extend(part.numbers)
    return Postings(numbers, b"".join(part.impacts for part in parts))


def _write(ids: list[str], terms: Iterable[tuple[str, Postings]], block_bytes: int) -> Written:
    body = bytearray()

    def add(value: object) -> tuple[int, int]:
        packed = zlib.compress(msgspec.msgpack.encode(value), 1)
        body.extend(packed)
        return len(body) - len(packed), len(packed)

    id_blocks = [add(ids[i : i + DOCUMENTS_PER_BLOCK]) for i in range(0, len(ids), DOCUMENTS_PER_BLOCK)]
    term_blocks: list[tuple[str, int, int]] = []
    block: list[tuple[str, bytes, bytes]] = []
    size = 0
    for name, postings in terms:
        block.append((name, _raw(postings.numbers), postings.impacts))
        size += len(name) + 5 * len(postings.impacts)
        if size >= block_bytes:
            term_blocks.append((block[0][0], *add(block)))
            block, size = [], 0
    if block:
        term_blocks.append((block[0][0], *add(block)))
    directory = Directory(documents=len(ids), ids=id_blocks, terms=term_blocks)
    return Written(bytes(body), directory)


def _raw(numbers: Sequence[int]) -> bytes:
    values = array("I", numbers)
    if _SWAP:
        values.byteswap()
    return values.tobytes()
