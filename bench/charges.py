"""What AWS charges for one small text, from submission to SUCCESS, request by request.

    python -m bench.charges [--documents 400]

The service's own code runs in this process, on a table, a bucket and queues in memory that reckon as AWS does
(docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html): a write unit for each KB of
the larger of an item before and after, twice that in a transaction, one for each entry of an index that comes, goes
or changes; a read unit for each 4 KB, half of one where the newest state is not asked for. Documents before the last
320 only fill the library: of those the mean is printed. Lambda's time is not in it. Every document reads the clusters
that were founded within the last minute; here all are, so that minute is left out.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from bench.filling import replaced
from bench.shelves import ShelfTable
from bench.texts import Author
from chalicelib.aws.expressions import Act, Check, Item, Key, Write
from chalicelib.aws.objects import IN_ROWS
from chalicelib.aws.table import Page
from chalicelib.jobs.consumer import Consumer
from chalicelib.jobs.cost import AROUND, Prices
from chalicelib.jobs.job import Job
from chalicelib.jobs.run import Run
from chalicelib.jobs.states import State
from chalicelib.jobs.store import JobStore
from chalicelib.jobs.submission import Submission
from chalicelib.jobs.workchild import Outcome, outcome_of
from chalicelib.library import directory
from chalicelib.library.searchindex import SearchIndex, asks_for_tidying
from chalicelib.logs import logger
from tests.memory import MemoryObjects, MemoryQueues

_KB: Final = 1024
_MEASURED: Final = 320
_TEXT: Final = 1000
_UPKEEP: Final = "upkeep: "


def size_of(value: Any) -> int:
    """Return the bytes that an attribute's value has by DynamoDB's rules."""
    match value:
        case bool() | None:
            return 1
        case int() | float():
            return len(repr(value)) // 2 + 1
        case str():
            return len(value.encode())
        case bytes():
            return len(value)
        case set() | frozenset():
            return sum(map(size_of, value))
        case dict():
            return 3 + sum(1 + len(name.encode()) + size_of(entry) for name, entry in value.items())
        case list() | tuple():
            return 3 + sum(1 + size_of(entry) for entry in value)
    raise TypeError(type(value))


def item_size(item: Item | None) -> int:
    """Return the bytes of an item, 0 for none."""
    return sum(len(name.encode()) + size_of(value) for name, value in (item or {}).items())


class Charges:
    """Units by what they are for and by their kind, a name of `Prices`."""

    def __init__(self) -> None:
        self.units: Counter[tuple[str, str]] = Counter()
        self.requests: Counter[str] = Counter()
        # What all is for that is charged now.
        self.purpose = ""

    def add(self, what: str, kind: str, units: float) -> None:
        """Charge for something."""
        self.units[self.purpose + what, kind] += units  # type: ignore[assignment]

    def dollars(self, prices: Prices, *, upkeep: bool = False) -> float:
        """Return what the jobs cost, or their upkeep, in dollars a million."""
        return sum(
            units * float(getattr(prices, kind))
            for (what, kind), units in self.units.items()
            if what.startswith(_UPKEEP) == upkeep
        )


def named(key: Key) -> str:
    """Return what an item is, without names and ids: "LIB DOC"."""
    pk, sk = key[0].partition("#")[0], key[1].partition("#")[0]
    return pk if pk in ("JOB", "KB", "FIND", "OWNER", "STATS", "DUP", "DUPOF") else f"{pk} {sk}"


class ChargedTable(ShelfTable):
    """A table that charges."""

    def __init__(self, charges: Charges) -> None:
        super().__init__()
        self.charges = charges
        self._factor = 1

    def _do(self, write: Act) -> Item:
        before = self.items.get(write.key)
        done = super()._do(write)
        after = self.items.get(write.key)
        what = named(write.key) + (" check" if isinstance(write, Check) else "")
        units = -(-max(item_size(before), item_size(after), 1) // _KB)
        self.charges.add(what, "table_write", units * self._factor)
        for index, names in self.INDEXES.items():
            if index:
                entries = [[row.get(name) if row else None for name in names] for row in (before, after)]
                there = [None not in entry for entry in entries]
                if any(there) and entries[0] != entries[1]:
                    self.charges.add(f"{what}, index {index}", "table_write", sum(there))
        return done

    def write(self, write: Write) -> Item:
        """See `MemoryTable.write`."""
        self.charges.requests["table"] += 1
        return super().write(write)

    def put_many(self, items: Sequence[Item]) -> None:
        """See `MemoryTable.put_many`."""
        self.charges.requests["table"] -= len(items) - 1
        super().put_many(items)

    def put_new(self, items: Sequence[Item]) -> set[int]:
        """See `MemoryTable.put_new`; a refused one is charged, too."""
        self.charges.requests["table"] += 1
        refused = super().put_new(items)
        for place in refused:
            self.charges.add(named((items[place]["pk"], items[place]["sk"])), "table_write", 1)
        return refused

    def transact(self, writes: Sequence[Act]) -> None:
        """See `MemoryTable.transact`."""
        self.charges.requests["table"] += 1
        self._factor = 2
        try:
            super().transact(writes)
        finally:
            self._factor = 1

    def get(self, key: Key, *, consistent: bool = True) -> Item | None:
        """See `MemoryTable.get`."""
        self.charges.requests["table"] += 1
        found = super().get(key, consistent=consistent)
        self._read(named(key), item_size(found), consistent=consistent)
        return found

    def get_many(self, keys: Sequence[Key], *, consistent: bool = False) -> dict[Key, Item]:
        """See `MemoryTable.get_many`."""
        self.charges.requests["table"] += -(-len(keys) // 100)
        found = super().get_many(keys, consistent=consistent)
        for key in keys:
            self._read(named(key), item_size(found.get(key)), consistent=consistent)
        return found

    def query(self, partition: tuple[str, Any], **options: Any) -> Page:
        """See `MemoryTable.query`."""
        self.charges.requests["table"] += 1
        page = super().query(partition, **options)
        size = sum(map(item_size, page.items))
        bounds = (options.get("sort") or ("", "", ""))[2]
        what = named((str(partition[1]), bounds if isinstance(bounds, str) else bounds[0]))
        self._read(f"{what} query", size, consistent=not options.get("index"))
        return page

    def _read(self, what: str, size: int, *, consistent: bool) -> None:
        units = max(1, -(-size // (4 * _KB)))
        self.charges.add(what, "table_read", units if consistent else units / 2)


def charged(inner: Any, charges: Charges, kinds: dict[str, str]) -> Any:
    """Let an object charge for its methods, by name."""

    def counted(name: str, kind: str, do: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            charges.requests[kind] += 1
            charges.add(f"{kind} {name}", kind, 1)
            return do(*args, **options)

        return call

    for name, kind in kinds.items():
        setattr(inner, name, counted(name, kind, getattr(inner, name)))
    return inner


class ChargedObjects(MemoryObjects):
    """A bucket whose small objects are charged as rows of the table."""

    def __init__(self, charges: Charges) -> None:
        super().__init__()
        self.charges = charges

    def put(self, key: str, body: bytes, *, content_type: str = "") -> None:
        """See `Objects.put`."""
        self._charge("put", key, "s3_put")
        super().put(key, body, content_type=content_type)

    def get(self, key: str, **options: Any) -> bytes:
        """See `Objects.get`."""
        self._charge("get", key, "s3_get")
        return super().get(key, **options)

    def keys(self, prefix: str) -> list[str]:
        """See `Objects.keys`."""
        if not prefix.startswith(IN_ROWS):
            self._charge("list", prefix, "s3_put")
        return super().keys(prefix)

    def _charge(self, what: str, key: str, kind: str) -> None:
        *_, folder = key.removeprefix(IN_ROWS).split("/", 1)[:1]
        self.charges.requests[kind] += 1
        if key.startswith(IN_ROWS):
            # Rows of this benchmark are under 1 KB, packed.
            kind = "table_write" if what == "put" else "table_read"
            self.charges.add(f"BYTES {folder}", kind, 1)
        else:
            self.charges.add(f"{kind} {what} {folder}", kind, 1)


class Charged:
    """A service in memory that works on small files, for one owner."""

    def __init__(self, folder: Path, owner: str = "ann") -> None:
        self.charges = Charges()
        self.folder = folder
        self.owner = owner
        self.table = ChargedTable(self.charges)
        self.objects: Any = ChargedObjects(self.charges)
        calls = dict.fromkeys(("send", "receive", "hide", "delete"), "sqs_request")
        self.queues = charged(MemoryQueues(), self.charges, calls)
        objects: Any = self.objects
        self.consumer = Consumer(self.table, self.queues, objects, worker="w")
        self.consumer.supervisor.run = self._run  # type: ignore[method-assign,assignment]

    def _run(self, job: Job, *_others: object) -> Outcome:
        """Do the work in this process."""
        with TemporaryDirectory(dir=self.folder) as folder:
            run = Run(
                job,
                table=self.table,
                objects=self.objects,
                folder=Path(folder),
                report=lambda _progress: None,
            )
            return outcome_of(run)

    def tidy(self) -> None:
        """Do the upkeep that a document has asked for, as a job of its own."""
        self.charges.purpose = _UPKEEP
        index = SearchIndex(self.table, self.objects, self.owner)
        while index.tidy():
            pass
        around = AROUND + Counter({"table_write": 4})  # its row and its counter, published together
        for kind, units in around.items():
            if kind != "api_request":
                self.charges.add("a job", kind, units)
        self.charges.purpose = ""

    def ingest(self, name: str, body: bytes) -> Job:
        """Take a file as the API does, work on it as a worker does; return its job as it ended."""
        self.charges.add("api_request", "api_request", 1)
        self.charges.add("lambda_request", "lambda_request", 2)
        job = Submission(self.table, self.queues, self.objects, owner=self.owner).inline(name, body)
        (message,) = self.queues.receive(job.queue, limit=1)
        # A function hides what it takes for as long as a lease, so that a killed one is noticed soon.
        self.queues.hide(job.queue, message.receipt, 60)
        assert self.consumer.consume([message], seconds_left=600) == []
        self.queues.delete(job.queue, message.receipt)
        ended = JobStore(self.table).find(job.job_id)
        self.charges.add("JOB", "table_read", -1)
        assert ended is not None
        assert ended.state is State.SUCCESS, ended.error
        return ended


@contextmanager
def measured(documents: int, *, least: int = _MEASURED) -> Iterator[tuple[Charged, int]]:
    """Yield a service after `documents` files, with the charges of the last ones, and how many these are."""
    with TemporaryDirectory() as folder, replaced({(directory, "_OVERLAP_MS"): 0}):
        service = Charged(Path(folder))
        texts = Author(5).texts()
        for number in range(documents):
            if number == documents - least:
                service.charges.units.clear()
                service.charges.requests.clear()
            job = service.ingest(f"note{number}.txt", next(texts)[:_TEXT].encode())
            if asks_for_tidying(str((job.result or {})["doc_id"])):
                service.tidy()
        yield service, least


def main() -> None:
    """Print a line for each thing that is charged for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=2000)
    given = parser.parse_args()
    logger.setLevel("WARNING")
    prices = Prices()
    with measured(given.documents) as (service, number):
        charges = service.charges
        lines = [
            (units / number * getattr(prices, kind), what, kind, units / number)
            for (what, kind), units in charges.units.items()
        ]
        for dollars, what, kind, units in sorted(lines, reverse=True):
            print(f"{dollars:7.2f}  {units:6.2f} {kind:14} {what}")
        print(f"{charges.dollars(prices) / number:7.2f}  dollars a million, the jobs themselves")
        print(f"{charges.dollars(prices, upkeep=True) / number:7.2f}  dollars a million, upkeep")
        print({kind: count / number for kind, count in charges.requests.items()})


if __name__ == "__main__":
    main()
