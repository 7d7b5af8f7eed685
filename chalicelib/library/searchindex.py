"""The search index of a library as it is kept: what came lately as rows, everything else in segments.

In the owner's partition `SEARCH#` of the table there are: for each document that came lately a row with its terms
(`FRESH#`), written when it is published; for each segment a row with its directory (`SEGMENT#`), whose file is in
the bucket; for each document that was deleted and is still in a segment a row (`GONE#`). `tidy` makes segments of
fresh rows, joins small segments, and writes segments anew without what is gone. One query reads all of this.

A tidying is published in one transaction under the number of the generation that it began with, so of two at once
one does nothing. The files that it replaces are deleted afterwards; a search that still wants one starts again.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Final

import msgspec

from chalicelib.aws.expressions import (
    Absent,
    Condition,
    Delete,
    Equals,
    Item,
    Key,
    Present,
    Put,
    Update,
    Write,
)
from chalicelib.aws.objects import Objects
from chalicelib.aws.table import Table, TransactionFailed, query_all
from chalicelib.errors import UploadMissing
from chalicelib.jobs.job import new_id, now_ms
from chalicelib.knowledge import postings
from chalicelib.knowledge.postings import Directory, Segment, Written
from chalicelib.library.blocks import Blocks

# A document asks for a tidying with this chance, so many fresh rows are there on average when it starts.
FRESH_ON_AVERAGE: Final = 16
# One transaction takes in so many fresh rows, and drops so many gone ones (of DynamoDB's 100 writes).
_MAX_FRESH: Final = 48
_MAX_GONE: Final = 24
# And replaces so many segments, for what is new and for what is gone.
_MAX_FILES: Final = 12
# A segment is joined with the one before it unless that one is so many times larger, or both would be too large.
_RATIO: Final = 3
_MAX_DOCUMENTS: Final = 50_000
_MAX_BYTES: Final = 64 * 1024 * 1024
_PAGE: Final = 1000
# Words are looked up again and again, and each block is a request.
_BLOCKS: Final = Blocks()


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """A segment's row."""

    segment_id: str
    # Its file in the bucket, and how long that is.
    key: str
    size: int
    directory: Directory


class Index(msgspec.Struct, frozen=True, kw_only=True):
    """The index of one owner as it stood at one moment."""

    # Number of the last tidying; 0: there was none.
    generation: int
    # The largest first.
    segments: list[Stored]
    # Terms with their impacts, by document.
    fresh: dict[str, dict[str, int]]
    # Documents of which nothing is left but what their segments say.
    gone: list[str]
    # All documents that were deleted and may still be in a segment.
    deleted: frozenset[str] = frozenset()


class Tidied(msgspec.Struct, frozen=True, kw_only=True):
    """What a tidying did, in documents."""

    added: int = 0
    removed: int = 0


def fresh_row(owner: str, doc_id: str, impacts: Mapping[str, int]) -> Put:
    """Build the write that makes a document be found; part of its publication."""
    pk, sk = fresh_key(owner, doc_id)
    return Put(item={"pk": pk, "sk": sk, "terms": zlib.compress(msgspec.msgpack.encode(impacts))})


def fresh_key(owner: str, doc_id: str) -> Key:
    """Return the key of a document's terms while it is in no segment."""
    return (_partition(owner), f"FRESH#{doc_id}")


def gone_key(owner: str, doc_id: str) -> Key:
    """Return the key of the row that says that a document must be taken out of its segment."""
    return (_partition(owner), f"GONE#{doc_id}")


def asks_for_tidying(doc_id: str) -> bool:
    """Tell whether this document's arrival asks for a tidying: one in `FRESH_ON_AVERAGE` does."""
    return zlib.crc32(doc_id.encode()) % FRESH_ON_AVERAGE == 0


class SearchIndex:
    """The search index of one owner."""

    def __init__(self, table: Table, objects: Objects, owner: str) -> None:
        self.table = table
        self.objects = objects
        self.owner = owner

    def read(self) -> Index:
        """Return the index as it stands now: its rows, no file."""
        generation, segments, gone, deleted = 0, [], [], set()
        fresh: dict[str, dict[str, int]] = {}
        for item in query_all(self.table, ("pk", _partition(self.owner)), limit=_PAGE):
            kind, _, name = item["sk"].partition("#")
            if kind == "FRESH":
                fresh[name] = msgspec.msgpack.decode(zlib.decompress(item["terms"]), type=dict[str, int])
            elif kind == "SEGMENT":
                segments.append(_stored(item))
            elif kind == "GONE":
                # Until all else of it is removed, the row must stay.
                gone += [] if "keys" in item else [name]
                deleted.add(name)
            else:
                generation = item["generation"]
        segments.sort(key=lambda segment: -segment.directory.documents)
        return Index(
            generation=generation, segments=segments, fresh=fresh, gone=gone, deleted=frozenset(deleted)
        )

    def open(self, stored: Stored) -> Segment:
        """Return a segment that reads its file in spans. Reading raises UploadMissing once it was replaced."""
        return Segment(stored.directory, partial(self._span, stored.key))

    def _span(self, key: str, offset: int, length: int) -> bytes:
        return _BLOCKS.get((key, offset, length), lambda: self.objects.get(key, span=(offset, length)))

    # --- Tidying -------------------------------------------------------------------------------------------

    def tidy(self) -> Tidied | None:
        """Do one step of what is to do; None where there is nothing (left). Raise Unavailable."""
        index = self.read()
        try:
            return self._step(index)
        except UploadMissing:
            if self.read().generation == index.generation:
                raise
            return Tidied()  # another tidying has replaced a file that this one wanted: look again

    def _step(self, index: Index) -> Tidied | None:
        fresh = dict(sorted(index.fresh.items())[:_MAX_FRESH])
        gone = sorted(index.gone)[:_MAX_GONE]
        if not fresh and not gone:
            self._sweep(index)
            return None
        old, gone = self._with_any(index, gone)
        old += [segment for segment in self._joinable(index, len(fresh)) if segment not in old]
        sources = [self._whole(segment) for segment in old]
        if fresh:
            sources.append(postings.build(fresh))
        sizes = sum(segment.size for segment in old)
        written = postings.merge(sources, sizes=sizes, without=frozenset(gone)) if sources else None
        if self._publish(index, old, written, fresh, gone):
            return Tidied(added=len(fresh), removed=len(gone))
        return Tidied()  # another tidying, or a deletion, was quicker: look again

    def _with_any(self, index: Index, gone: Sequence[str]) -> tuple[list[Stored], list[str]]:
        """Return segments that have some of these documents, the smallest first, and which they have.

        As many as may be in memory together, one at least; and all documents that are in no segment at all.
        """
        wanted: list[Stored] = []
        left = set(gone)  # in none that was looked at
        taken: set[str] = set()
        size = 0
        for segment in reversed(index.segments if gone else []):
            found = left & set(self.open(segment).all_ids())
            left -= found
            if found and (not wanted or (size + segment.size <= _MAX_BYTES and len(wanted) < _MAX_FILES)):
                wanted.append(segment)
                taken |= found
                size += segment.size
        return wanted, sorted(taken | left)

    def _joinable(self, index: Index, fresh: int) -> list[Stored]:
        """Return the small segments that are written anew together with so many documents that are new."""
        found: list[Stored] = []
        documents, size = fresh, 0
        for segment in reversed(index.segments if fresh else []):
            larger = segment.directory.documents >= _RATIO * documents
            documents += segment.directory.documents
            size += segment.size
            if larger or documents > _MAX_DOCUMENTS or size > _MAX_BYTES or len(found) == _MAX_FILES:
                break
            found.append(segment)
        return found

    def _whole(self, stored: Stored) -> Segment:
        return postings.in_memory(Written(self.objects.get(stored.key), stored.directory))

    def _publish(
        self,
        index: Index,
        old: Sequence[Stored],
        written: Written | None,
        fresh: Iterable[str],
        gone: Iterable[str],
    ) -> bool:
        """Store a new segment in place of old ones, fresh rows and gone ones; False where that was refused."""
        # Never the same number twice, even after a library was emptied: files are told apart by it.
        generation = max(index.generation + 1, now_ms())
        stored = self._store(generation, written) if written else None
        writes: list[Write] = [
            self._next_generation(index, generation),
            *(Delete(key=self._key("SEGMENT", segment.segment_id), when=_THERE) for segment in old),
            # A document that is deleted meanwhile takes its row along: then all of this must not be.
            *(Delete(key=fresh_key(self.owner, doc_id), when=_THERE) for doc_id in fresh),
            *(Delete(key=gone_key(self.owner, doc_id)) for doc_id in gone),
        ]
        if stored:
            writes.append(self._row(stored))
        try:
            self.table.transact(writes)
        except TransactionFailed:
            if stored is None or self.table.get(self._key("SEGMENT", stored.segment_id)) is None:
                if stored:
                    self.objects.delete(stored.key)
                return False
            # It has gone through: its answer was lost, and it was refused when it was sent again.
        for segment in old:
            self.objects.delete(segment.key)
            _BLOCKS.forget(segment.key)
        return True

    def _next_generation(self, index: Index, generation: int) -> Update:
        before: Condition = Equals("generation", index.generation) if index.generation else Absent("pk")
        return Update(key=self._key("STATE"), set={"generation": generation}, when=(before,))

    def _store(self, generation: int, written: Written) -> Stored:
        segment_id = new_id()
        key = f"{self._prefix()}{generation}-{segment_id}"
        self.objects.put(key, written.body)
        return Stored(segment_id=segment_id, key=key, size=len(written.body), directory=written.directory)

    def _row(self, stored: Stored) -> Put:
        pk, sk = self._key("SEGMENT", stored.segment_id)
        directory = stored.directory.pack()
        return Put(item={"pk": pk, "sk": sk, "key": stored.key, "size": stored.size, "directory": directory})

    def _sweep(self, index: Index) -> None:
        """Delete files of tidyings that were killed, and, of an empty library, the number of the generation.

        A tidying that is still at work makes files of a later generation than the one that stands.
        """
        named = {segment.key for segment in index.segments}
        for key in list(self.objects.keys(self._prefix())):
            generation = int(key.removeprefix(self._prefix()).partition("-")[0])
            if key not in named and generation <= index.generation:
                self.objects.delete(key)
        if index.generation and not index.segments:
            state = Delete(key=self._key("STATE"), when=(Equals("generation", index.generation),))
            try:
                self.table.transact([state])
            except TransactionFailed:
                return

    def _prefix(self) -> str:
        return f"search/{self.owner}/"

    def _key(self, kind: str, name: str = "") -> Key:
        return (_partition(self.owner), f"{kind}#{name}" if name else kind)


_THERE: Final = (Present("pk"),)


def _partition(owner: str) -> str:
    return f"SEARCH#{owner}"


def _stored(item: Item) -> Stored:
    return Stored(
        segment_id=item["sk"].partition("#")[2],
        key=item["key"],
        size=item["size"],
        directory=Directory.unpack(item["directory"]),
    )
