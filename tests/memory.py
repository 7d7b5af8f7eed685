"""Table and queues in memory: they pass the same contract suite as DynamoDB and SQS (tests/contract)."""

from __future__ import annotations

import copy
import itertools
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

from chalicelib.aws.expressions import (
    Absent,
    Act,
    Below,
    Check,
    Condition,
    Delete,
    Equals,
    Fewer,
    Item,
    Key,
    OneOf,
    Present,
    Put,
    Update,
    Write,
)
from chalicelib.aws.objects import IN_ROWS, ObjectHead
from chalicelib.aws.queues import Depth, Received
from chalicelib.aws.table import ConditionFailed, Page, TransactionFailed
from chalicelib.errors import Unavailable, UploadMissing


def holds(condition: Condition, item: Item | None) -> bool:
    """Interpret a condition as DynamoDB does."""
    there = item is not None and condition.attribute in item
    value = item[condition.attribute] if item is not None and there else None
    match condition:
        case Equals(value=wanted):
            return there and value == wanted
        case OneOf(values=values):
            return there and value in values
        case Below(value=limit):
            return there and value is not None and value < limit
        case Absent():
            return not there
        case Fewer(than=than):
            return not there or (isinstance(value, set) and len(value) < than)
        case Present():
            return there
    raise TypeError(condition)


# DynamoDB's own limits: writes of a transaction, bytes of an item (about), and attributes that an index has for keys,
# by their types.
_MAX_WRITES = 100
_MAX_ITEM = 400 * 1024
_INDEXED = {
    "owner": str,
    "job_id": str,
    "standing": str,
    "check_shard": str,
    "check_at": int,
    "cluster": str,
    "doc_id": str,
}


def assert_possible(item: Item) -> None:
    """Raise AssertionError for an item that DynamoDB does not take."""
    for name, value in item.items():
        assert value != set(), f"{name} is a set of nothing"
        wanted = _INDEXED.get(name, object)
        assert isinstance(value, wanted), f"{name}={value!r} is no key of an index"
        assert wanted is not str or value, f"{name} is a key of an index, and empty"
    size = sum(len(value) for value in item.values() if isinstance(value, str | bytes))
    assert size <= _MAX_ITEM, f"an item of {size:,} bytes"


class MemoryTable:
    """`Table` on a dictionary; copies keep callers from sharing objects with it.

    What DynamoDB refuses whatever the conditions is an AssertionError here: no emulator is as strict.
    """

    INDEXES: ClassVar[dict[str | None, tuple[str, str]]] = {
        None: ("pk", "sk"),
        "by_owner": ("owner", "job_id"),
        "by_standing": ("standing", "job_id"),
        "by_check": ("check_shard", "check_at"),
        "by_cluster": ("cluster", "doc_id"),
    }

    def __init__(self) -> None:
        self.items: dict[Key, Item] = {}
        # Makes each operation one, as the database does.
        self._lock = threading.RLock()
        # Called with each write before it is done; may raise, to play a database in trouble.
        self.before_write: Callable[[Act], None] = lambda _write: None

    def _load(self, key: Key) -> Item | None:
        with self._lock:
            return copy.deepcopy(self.items.get(key))

    def get(self, key: Key, *, consistent: bool = True) -> Item | None:
        return self._load(key)

    def get_many(self, keys: Sequence[Key], *, consistent: bool = False) -> dict[Key, Item]:
        return {key: item for key in keys if (item := self._load(key)) is not None}

    def _check(self, write: Act) -> None:
        item = self._load(write.key)
        when = ((Absent("pk"),) if write.new else ()) if isinstance(write, Put) else write.when
        if not all(holds(condition, item) for condition in when):
            raise ConditionFailed(item)

    def _do(self, write: Act) -> Item:
        if isinstance(write, Check):
            return {}
        if isinstance(write, Delete):
            self.items.pop(write.key, None)
            return {}
        item = write.item if isinstance(write, Put) else self._updated(write)
        assert_possible(item)
        self.items[write.key] = copy.deepcopy(item)
        return copy.deepcopy(item)

    def _updated(self, write: Update) -> Item:
        item = self._load(write.key) or {"pk": write.key[0], "sk": write.key[1]}
        item.update(write.set)
        for name, number in write.add.items():
            item[name] = item.get(name, 0) + number
        for name, values in write.append.items():
            item[name] = [*item.get(name, []), *values]
        for name, members in write.insert.items():
            item[name] = item.get(name, set()) | members
        for name, members in write.discard.items():
            item[name] = item.get(name, set()) - members
            if not item[name]:
                del item[name]
        for name in write.remove:
            item.pop(name, None)
        return item

    def write(self, write: Write) -> Item:
        with self._lock:
            self.before_write(write)
            self._check(write)
            return self._do(write)

    def put_many(self, items: Sequence[Item]) -> None:
        for item in items:
            self.write(Put(item=item))

    def put_new(self, items: Sequence[Item]) -> set[int]:
        refused = set()
        for place, item in enumerate(items):
            try:
                self.before_write(put := Put(item=item, new=True))
                self._check(put)
                self._do(put)
            except ConditionFailed:
                refused.add(place)
        return refused

    def transact(self, writes: Sequence[Act]) -> None:
        assert 1 <= len(writes) <= _MAX_WRITES, f"{len(writes)} writes in a transaction"
        assert len({write.key for write in writes}) == len(writes), "an item twice in a transaction"
        with self._lock:
            failed = set()
            for i, write in enumerate(writes):
                self.before_write(write)
                try:
                    self._check(write)
                except ConditionFailed:
                    failed.add(i)
            if failed:
                raise TransactionFailed(frozenset(failed))
            for write in writes:
                self._do(write)

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
        hash_name, range_name = self.INDEXES[index]
        with self._lock:
            rows = [
                row for row in self.items.values() if row.get(hash_name) == partition[1] and range_name in row
            ]
        if sort:
            rows = [row for row in rows if _in_range(row[sort[0]], sort[1], sort[2])]
        rows.sort(key=lambda row: (row[range_name], row["pk"], row["sk"]), reverse=not forward)
        if start:
            edge = (start[range_name], start["pk"], start["sk"])
            rows = [
                row
                for row in rows
                if ((row[range_name], row["pk"], row["sk"]) > edge) == forward
                and (row[range_name], row["pk"], row["sk"]) != edge
            ]
        names = {"pk", "sk", hash_name, range_name}
        page = [{name: row[name] for name in names} if index else copy.deepcopy(row) for row in rows[:limit]]
        more = len(rows) > limit
        return Page(items=page, next_key={name: page[-1][name] for name in names} if more else None)


def _in_range(value: Any, operator: str, bound: Any) -> bool:
    if operator == "begins_with":
        return str(value).startswith(bound)
    if operator == "between":
        return bool(bound[0] <= value <= bound[1])
    return bool(value <= bound if operator == "<=" else value >= bound)


class MemoryQueues:
    """`Queues` in memory, on a clock that a test may move."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.messages: dict[str, dict[str, dict[str, Any]]] = {}
        self._numbers = itertools.count(1)
        # Set to play a queue that is away.
        self.down = False

    def send(self, queue: str, body: str, *, delay: float = 0, group: str | None = None) -> None:
        if self.down:
            raise Unavailable("The queue does not answer.")
        number = str(next(self._numbers))
        self.messages.setdefault(queue, {})[number] = {
            "body": body,
            "visible_at": self.clock() + delay,
            "delayed": delay > 0,
            "count": 0,
            "receipt": "",
        }

    def send_many(self, queue: str, bodies: Sequence[str], *, group: str | None = None) -> list[int]:
        for body in bodies:
            self.send(queue, body, group=group)
        return []

    def receive(self, queue: str, *, limit: int = 1, wait: int = 0, visibility: int = 60) -> list[Received]:
        found: list[Received] = []
        for number, message in self.messages.get(queue, {}).items():
            if len(found) == limit or message["visible_at"] > self.clock():
                continue
            message["count"] += 1
            message["delayed"] = False
            message["visible_at"] = self.clock() + visibility
            message["receipt"] = f"{queue}/{number}/{message['count']}"
            found.append(
                Received(
                    queue=queue,
                    body=message["body"],
                    receipt=message["receipt"],
                    message_id=number,
                    receive_count=message["count"],
                )
            )
        return found

    def _of(self, receipt: str) -> tuple[str, str, dict[str, Any] | None]:
        queue, number, _count = receipt.split("/")
        return queue, number, self.messages.get(queue, {}).get(number)

    def hide(self, queue: str, receipt: str, seconds: float) -> None:
        _, _, message = self._of(receipt)
        if message is not None and message["receipt"] == receipt:
            message["visible_at"] = self.clock() + seconds

    def delete(self, queue: str, receipt: str) -> None:
        where, number, _ = self._of(receipt)
        self.messages.get(where, {}).pop(number, None)

    def delete_many(self, queue: str, receipts: Sequence[str]) -> None:
        for receipt in receipts:
            self.delete(queue, receipt)

    def depth(self, queue: str) -> Depth:
        messages = self.messages.get(queue, {}).values()
        visible = sum(message["visible_at"] <= self.clock() for message in messages)
        delayed = sum(message["visible_at"] > self.clock() and message["delayed"] for message in messages)
        return Depth(visible=visible, in_flight=len(messages) - visible - delayed, delayed=delayed)


class MemoryObjects:
    """The bucket in memory, as far as the engine looks at it; its small objects are told by their keys alone."""

    # Of so many bytes.
    SMALL: ClassVar[int] = 2000

    def __init__(self) -> None:
        self.bodies: dict[str, bytes] = {}

    def put(self, key: str, body: bytes, *, content_type: str = "") -> None:
        self.bodies[key] = body

    def put_small(self, key: str, body: bytes, *, expires_at: int | None = None) -> str:
        stored = IN_ROWS + key if len(body) <= self.SMALL else key
        self.put(stored, body)
        return stored

    def get_rows(self, keys: Sequence[str]) -> dict[str, bytes]:
        return {key: self.bodies[key] for key in keys if key.startswith(IN_ROWS) and key in self.bodies}

    def upload(self, key: str, path: Path, *, content_type: str = "") -> None:
        self.bodies[key] = path.read_bytes()

    def download(self, key: str, path: Path, *, version: str | None = None) -> None:
        path.write_bytes(self.get(key))

    def head(self, key: str, *, version: str | None = None) -> ObjectHead:
        if key not in self.bodies:
            raise UploadMissing("gone")
        return ObjectHead(size=len(self.bodies[key]), etag="e", version=None)

    def get(
        self,
        key: str,
        *,
        version: str | None = None,
        first: int | None = None,
        span: tuple[int, int] | None = None,
    ) -> bytes:
        if key not in self.bodies:
            raise UploadMissing("gone")
        start, length = span or (0, first)
        return self.bodies[key][start:][:length]

    def find(self, key: str) -> bytes | None:
        return self.bodies.get(key)

    def keys(self, prefix: str) -> list[str]:
        return [key for key in self.bodies if key.startswith(prefix)]

    def keys_of(self, folder: str) -> list[str]:
        return [*self.keys(IN_ROWS + folder), *self.keys(folder)]

    def delete(self, key: str) -> None:
        self.bodies.pop(key, None)
