"""A table for large generated libraries: in memory, with each partition in order; and its way into an emulator."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from chalicelib.aws.expressions import Act, Check, Delete, Item, Key, Put, Write
from chalicelib.aws.objects import IN_ROWS, Objects, row_of
from chalicelib.aws.table import DynamoTable, Page
from tests.memory import MemoryObjects, MemoryTable, holds

_BATCH = 500
_THREADS = 4
_HIGHEST = "\U0010ffff"


class ShelfTable(MemoryTable):
    """`MemoryTable` that finds a partition's items without looking at all others, and counts requests.

    Items are not copied deeply: callers that changed what they are given would change the table.
    """

    def __init__(self) -> None:
        super().__init__()
        self.requests: Counter[str] = Counter()
        self._shelves: defaultdict[str, list[str]] = defaultdict(list)

    def _load(self, key: Key) -> Item | None:
        item = self.items.get(key)
        return dict(item) if item is not None else None

    def _check(self, write: Act) -> None:
        # Most writes have a condition or none, and no need of a copy to look at.
        when = getattr(write, "when", ())
        item = self.items.get(write.key)
        if all(holds(condition, item) for condition in when):
            if getattr(write, "new", False):
                super()._check(write)
            return
        super()._check(write)

    def _do(self, write: Act) -> Item:
        if isinstance(write, Check):
            return {}
        before = write.key in self.items
        item: Item = {}
        if isinstance(write, Delete):
            self.items.pop(write.key, None)
        else:
            item = dict(write.item) if isinstance(write, Put) else self._updated(write)
            self.items[write.key] = item
        after = write.key in self.items
        shelf = self._shelves[write.key[0]]
        if after and not before:
            insort(shelf, write.key[1])
        elif before and not after:
            del shelf[bisect_left(shelf, write.key[1])]
            if not shelf:
                del self._shelves[write.key[0]]
        return dict(item)

    def query(
        self,
        partition: tuple[str, Any],
        *,
        index: str | None = None,
        sort: tuple[str, str, Any] | None = None,
        limit: int = 100,
        forward: bool = True,
        start: Item | None = None,
    ) -> Page:
        """See `Table.query`."""
        self.requests["query"] += 1
        if index:
            return super().query(partition, index=index, sort=sort, limit=limit, forward=forward, start=start)
        shelf = self._shelves.get(partition[1], [])
        low, high = _bounds(shelf, sort)
        if start and forward:
            low = max(low, bisect_right(shelf, start["sk"]))
        elif start:
            high = min(high, bisect_left(shelf, start["sk"]))
        chosen = (
            shelf[low : min(high, low + limit)] if forward else shelf[max(low, high - limit) : high][::-1]
        )
        items = [dict(self.items[partition[1], name]) for name in chosen]
        more = high - low > limit
        return Page(items=items, next_key={"pk": partition[1], "sk": chosen[-1]} if more and chosen else None)

    def write(self, write: Write) -> Item:
        """See `Table.write`."""
        self.requests["write"] += 1
        return super().write(write)

    def put_many(self, items: Sequence[Item]) -> None:
        """See `Table.put_many`."""
        self.requests["write"] -= len(items)
        self.requests["put_many"] += -(-len(items) // 25)
        super().put_many(items)

    def put_new(self, items: Sequence[Item]) -> set[int]:
        """See `Table.put_new`."""
        self.requests["put_new"] += -(-len(items) // 25)
        return super().put_new(items)

    def transact(self, writes: Sequence[Act]) -> None:
        """See `Table.transact`."""
        self.requests["transact"] += 1
        super().transact(writes)

    def get(self, key: Key, *, consistent: bool = True) -> Item | None:
        """See `Table.get`."""
        self.requests["get"] += 1
        return super().get(key, consistent=consistent)

    def get_many(self, keys: Sequence[Key], *, consistent: bool = False) -> dict[Key, Item]:
        """See `Table.get_many`."""
        self.requests["get_many"] += -(-len(keys) // 100)
        return super().get_many(keys, consistent=consistent)


def _bounds(shelf: list[str], sort: tuple[str, str, Any] | None) -> tuple[int, int]:
    """Return from where to where the names of a shelf fit."""
    match sort:
        case None:
            return 0, len(shelf)
        case (_, "begins_with", begin):
            return bisect_left(shelf, begin), bisect_left(shelf, begin + _HIGHEST)
        case (_, "between", (first, last)):
            return bisect_left(shelf, first), bisect_right(shelf, last)
        case (_, "<=", last):
            return 0, bisect_right(shelf, last)
        case (_, ">=", first):
            return bisect_left(shelf, first), len(shelf)
    raise ValueError(sort)


@contextmanager
def at_once(number: int) -> Iterator[Callable[[Callable[[], object]], object]]:
    """Yield what does things in `number` threads; leave when all are done, with the first error."""
    with ThreadPoolExecutor(number) as pool:
        futures = []
        yield lambda do: futures.append(pool.submit(do))
        for future in futures:
            future.result()


def load(shelves: ShelfTable, objects: MemoryObjects, *, without: Collection[str] = ()) -> None:
    """Put all items, but for partitions that begin like those, and all objects into the table and bucket `bench`."""
    table, bucket = DynamoTable("bench"), Objects("bench", "bench")
    kept = [item for (pk, _), item in shelves.items.items() if not pk.startswith(tuple(without))]
    rows = {key: row_of(key, body) for key, body in objects.bodies.items() if key.startswith(IN_ROWS)}
    kept += [row for row in rows.values() if row]
    with at_once(_THREADS) as do:
        for start in range(0, len(kept), _BATCH):
            do(lambda items=kept[start : start + _BATCH]: table.put_many(items))  # type: ignore[misc]
        for key, body in objects.bodies.items():
            if not rows.get(key):
                do(lambda key=key, body=body: bucket.put(key, body))  # type: ignore[misc]
