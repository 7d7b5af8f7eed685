"""The directory of an owner's clusters as it is kept: named by a generation, read once by each process.

Its parts are rows of the partition `TOPICS#<owner>`; the row `COUNTS` of the library names the generation that
counts, and from when on clusters are not in it. Whoever replaces a directory writes the new parts first, then the
name, and deletes the old parts last: a reader that comes too late for parts looks at the name again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

import msgspec
from ulid import ULID

from chalicelib.aws.expressions import Absent, Condition, Delete, Equals, Item, Key, Present, Update
from chalicelib.aws.table import ConditionFailed, Table, query_all
from chalicelib.jobs.job import now_ms
from chalicelib.knowledge.clusters import Centroid
from chalicelib.knowledge.directory import Directory, directory_of
from chalicelib.library.documents import Documents, counts_key

# A row holds at most 400 KB.
_PART_BYTES: Final = 300_000
# A cluster that is founded while a directory is made, by a clock that is slow by less, counts as one that came later.
_OVERLAP_MS: Final = 60_000
# Directories that a process keeps, some megabytes each at most.
_KEPT: Final = 8


class Generation(msgspec.Struct, frozen=True, kw_only=True):
    """What the row `COUNTS` says of the directory."""

    # Its number, a time in ms: greater than any before; 0: there is none.
    generation: int = 0
    # In so many rows.
    parts: int = 0
    # Clusters whose ids sort before this are in it.
    since: str = ""
    # Documents that had been deleted when it was made: `documents.Counts.removed`.
    removed: int = 0

    @classmethod
    def of(cls, counts: Item | None) -> Generation:
        """Return what `COUNTS` says; None where the library is empty."""
        counts = counts or {}
        return cls(
            generation=counts.get("generation", 0),
            parts=counts.get("parts", 0),
            since=counts.get("since", ""),
            removed=counts.get("directory_removed", 0),
        )


# By table and owner, the one used last at the end.
_cache: dict[tuple[int, str], tuple[Generation, Directory]] = {}


class StoredDirectory:
    """The directory of one owner."""

    def __init__(self, table: Table, owner: str) -> None:
        self.table = table
        self.owner = owner
        self._place = (id(table), owner)

    def last_seen(self) -> Generation:
        """Return the generation that this process has in memory."""
        return _cache.get(self._place, (Generation(), None))[0]

    def load(self, generation: Generation) -> Directory | None:
        """Return the directory of a generation, from memory if this process has it; None where it was replaced."""
        known, directory = _cache.pop(self._place, (Generation(), None))
        if directory is None or known != generation:
            keys = [self._key(generation.generation, part) for part in range(generation.parts)]
            rows = self.table.get_many(keys)
            if len(rows) < len(keys):
                return None
            directory = Directory.unpack(b"".join(rows[key]["data"] for key in keys))
        _cache[self._place] = (generation, directory)
        if len(_cache) > _KEPT:
            del _cache[next(iter(_cache))]
        return directory

    def replace(self, before: Generation, read: Callable[[], Iterable[Centroid]]) -> bool:
        """Make the directory anew of the clusters that `read` gives; False where somebody else was quicker.

        Raise Unavailable.
        """
        now = now_ms()
        removed = self._removed()
        directory = directory_of(read())
        number = max(before.generation + 1, now)
        data = directory.pack()
        parts = [data[start : start + _PART_BYTES] for start in range(0, len(data), _PART_BYTES)]
        rows = [
            dict(zip(("pk", "sk"), self._key(number, place), strict=True)) | {"data": part}
            for place, part in enumerate(parts)
        ]
        self.table.put_many(rows)
        same: Condition = (
            Equals("generation", before.generation) if before.generation else Absent("generation")
        )
        name = Update(
            key=counts_key(self.owner),
            set={
                "generation": number,
                "parts": len(parts),
                "since": _lowest_id(now - _OVERLAP_MS),
                "directory_removed": removed,
            },
            when=(Present("pk"), same),
        )
        try:
            self.table.write(name)
        except ConditionFailed:
            self._delete([self._key(number, place) for place in range(len(parts))])
            return False
        self.drop(before=number)
        return True

    def forget_the_deleted(self, read: Callable[[], Iterable[Centroid]]) -> None:
        """Make the directory anew if a document was deleted since: it may have its words. Raise Unavailable."""
        generation = Generation.of(self.table.get(counts_key(self.owner)))
        if generation.generation and generation.removed != self._removed():
            self.replace(generation, read)

    def _removed(self) -> int:
        return Documents(self.table, self.owner).counts().removed

    def drop(self, *, before: int | None = None) -> None:
        """Delete the parts of generations before this one; all of them where it is not given."""
        rows = query_all(self.table, ("pk", _partition(self.owner)))
        keys = [(row["pk"], row["sk"]) for row in rows]
        self._delete(
            [key for key in keys if before is None or int(key[1].split("#")[1]) < before],
        )

    def _delete(self, keys: list[Key]) -> None:
        for key in keys:
            self.table.write(Delete(key=key))

    def _key(self, generation: int, part: int) -> Key:
        return (_partition(self.owner), f"PART#{generation}#{part}")


def _partition(owner: str) -> str:
    return f"TOPICS#{owner}"


def _lowest_id(moment: int) -> str:
    """Return the id that sorts before all those made at `moment` (ms) or later."""
    return str(ULID(max(0, moment).to_bytes(6, "big") + bytes(10))).lower()
