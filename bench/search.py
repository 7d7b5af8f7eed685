"""Search and near duplicates over a library in memory: latency, requests and their price.

    python -m bench.search [--documents 10000] [--emulator]

Documents of about 1 KB are published by the service's own code, but for what comes before (reading, concepts), and
`tidy_library`'s steps are done as often as the service would. The table and the bucket are dictionaries, whose own
time is shown apart. With `--emulator` they are an emulator of this run's own, filled without near duplicates.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple

import msgspec

from bench.texts import Writer
from chalicelib.aws import clients
from chalicelib.aws.expressions import Act, request
from chalicelib.aws.objects import Objects
from chalicelib.aws.table import DynamoTable
from chalicelib.jobs.cost import Prices
from chalicelib.jobs.job import new_id, now_ms
from chalicelib.knowledge.minhash import BANDS, signature
from chalicelib.knowledge.searchwords import impacts, question
from chalicelib.library.documents import Document, put_document
from chalicelib.library.resemblance import Resemblance
from chalicelib.library.search import Filter, Search
from chalicelib.library.searchindex import SearchIndex, asks_for_tidying, fresh_row
from infra.templates import DATA, read
from local.emulator import LOCK_FILE, Emulator
from local.environments import ensure_environment
from tests.caches import forget
from tests.memory import MemoryObjects, MemoryTable

OWNER: Final = "bench"
_TEXT: Final = 1000


class Counted:
    """Counts the calls of an object's methods."""

    def __init__(self, inner: Any, names: tuple[str, ...]) -> None:
        self.inner = inner
        self.calls: Counter[str] = Counter()
        # In all calls together; of calls at once, each.
        self.seconds = 0.0
        for name in names:
            setattr(self, name, self._counted(name))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def _counted(self, name: str) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            self.calls[name] += 1
            started = time.perf_counter()
            try:
                return getattr(self.inner, name)(*args, **options)
            finally:
                self.seconds += time.perf_counter() - started

        return call


def write_units(write: Any) -> int:
    """Return what a write of an item is charged in a transaction: two units a KB."""
    _, parameters = request(write, "t")
    size = len(msgspec.json.encode(parameters.get("Item", {})))
    return 2 * max(1, -(-size // 1024))


class Asked(NamedTuple):
    """One search."""

    # Milliseconds, and those spent in the table.
    milliseconds: float
    in_table: float
    # Requests of the table and of the bucket.
    rows: int
    spans: int


class Bench:
    """A library, and what it was asked for."""

    def __init__(self, table: Any, objects: Any, *, near: bool) -> None:
        self.near = near
        self.table = Counted(table, ("write", "put_new", "transact", "get", "get_many", "query"))
        self.objects = Counted(objects, ("get", "put", "delete", "keys"))
        self.index = SearchIndex(self.table, self.objects, OWNER)  # type: ignore[arg-type]
        self.cpu: Counter[str] = Counter()
        self.units: Counter[str] = Counter()
        self.requests = 0

    def timed(self, name: str, do: Callable[[], Any]) -> Any:
        """Do something; add its CPU time to a name."""
        started = time.process_time()
        done = do()
        self.cpu[name] += time.process_time() - started  # type: ignore[assignment]
        return done

    def add(self, text: str, title: str) -> None:
        """Publish a document."""
        doc_id = new_id()
        found = self.timed("signature", lambda: signature(text))
        words = self.timed("search words", lambda: impacts(text, (title,)))
        document = Document(
            doc_id=doc_id,
            job_id=new_id(),
            title=title,
            filename=f"{title}.txt",
            source_type="text",
            cluster_id="c",
            text_key=f"texts/{doc_id}",
            characters=len(text),
            words=len(text.split()),
            signature=found.pack() if found else b"",
            created_at=now_ms(),
        )
        pairs = self._find_near(document) if self.near else ()
        fresh = fresh_row(OWNER, doc_id, words)
        self.units["search row"] += write_units(fresh)
        self.units["pairs"] += sum(map(write_units, pairs))
        self.objects.put(document.text_key, text.encode())
        self.table.transact([put_document(OWNER, document), fresh, *pairs])
        if asks_for_tidying(doc_id):
            self.tidy()

    def _find_near(self, document: Document) -> Sequence[Act]:
        before = self.table.calls.total()
        near = Resemblance(self.table, OWNER, document)
        near.register()
        looked = self.timed("comparing", near.look)
        self.requests += self.table.calls.total() - before
        return looked.writes  # type: ignore[no-any-return]

    def tidy(self) -> None:
        """Do what `tidy_library` does."""
        self.units["tidyings"] += 1
        self.timed("tidying", lambda: all(iter(self.index.tidy, None)))

    def ask(self, q: str, wanted: Filter, limit: int) -> Asked:
        """Search once."""
        finder = Search(self.table, self.objects, OWNER)  # type: ignore[arg-type]
        before = self.table.calls.total(), self.objects.calls.total(), self.table.seconds
        started = time.perf_counter()
        finder.find(question(q), wanted, limit=limit)
        return Asked(
            1000 * (time.perf_counter() - started),
            1000 * (self.table.seconds - before[2]),
            self.table.calls.total() - before[0],
            self.objects.calls.total() - before[1],
        )


def questions(writer: Writer) -> dict[str, list[str]]:
    """Return questions by their sort."""
    chance = random.Random(9)
    common, rare = writer.words[60:300], writer.words[2000:15_000]
    return {
        "one rare word": chance.choices(rare, k=40),
        "one common word": chance.choices(common, k=40),
        "two common words and a rare one": [
            f"{chance.choice(common)} {chance.choice(common)} {chance.choice(rare)}" for _ in range(40)
        ],
        "a beginning": [f"{word[:4]}*" for word in chance.choices(rare, k=40)],
        "a phrase of common words": [f'"{chance.choice(common)} {chance.choice(common)}"' for _ in range(40)],
    }


def main() -> None:
    """Fill a library and ask."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=10_000)
    parser.add_argument("--emulator", action="store_true", help="on an emulator of its own")
    given = parser.parse_args()
    if not given.emulator:
        measure(Bench(MemoryTable(), MemoryObjects(), near=True), given.documents)
        return
    with TemporaryDirectory() as folder, emulated(Path(folder)):
        measure(Bench(DynamoTable("bench"), Objects("bench", "bench"), near=False), given.documents)


@contextmanager
def emulated(folder: Path, *, save_seconds: float = 2.0) -> Iterator[None]:
    """Start an emulator with a table and a bucket, and let the process's clients talk to it."""
    with Emulator(ensure_environment("emulator", LOCK_FILE), folder, save_seconds=save_seconds) as emulator:
        os.environ.update(
            {
                "AWS_ENDPOINT_URL": emulator.endpoint_url,
                "AWS_ACCESS_KEY_ID": "bench",
                "AWS_SECRET_ACCESS_KEY": "bench",
                "AWS_DEFAULT_REGION": "us-east-1",
            }
        )
        forget()
        resources = read(DATA)["Resources"].values()
        table = next(entry["Properties"] for entry in resources if entry["Type"] == "AWS::DynamoDB::Table")
        keys = ("KeySchema", "AttributeDefinitions", "BillingMode", "GlobalSecondaryIndexes")
        clients.dynamodb().create_table(TableName="bench", **{key: table[key] for key in keys})
        clients.s3().create_bucket(Bucket="bench")
        yield


def measure(bench: Bench, number: int) -> None:
    """Publish `number` documents, ask, print."""
    writer = Writer(2)
    for place in range(number):
        bench.add(writer.document()[:_TEXT], f"Document {place}")
    standing = bench.index.read()
    sizes = [segment.directory.documents for segment in standing.segments]
    print(f"{number} documents; segments of {sizes}, {len(standing.fresh)} rows that are in none")
    print(f"files of {sum(segment.size for segment in standing.segments) / 1e6:.1f} MB")
    for name, seconds in bench.cpu.items():
        print(f"  {name}: {seconds / number * 1000:.2f} ms CPU a document")
    print(f"  near duplicates: {bench.requests / number:.2f} requests of the table a document")
    _price(bench, number)
    for name, asked in questions(writer).items():
        results = [bench.ask(q, Filter(), 10) for q in asked]
        times = sorted(result.milliseconds for result in results)
        print(
            f"  {name}: p50 {statistics.median(times):.1f} ms, max {times[-1]:.1f} ms, "
            f"of it {statistics.median(result.in_table for result in results):.1f} ms in the table; requests: "
            f"{statistics.mean(result.rows for result in results):.1f} of the table, "
            f"{statistics.mean(result.spans for result in results):.1f} of the bucket"
        )


def _price(bench: Bench, number: int) -> None:
    """Print what search costs a million documents, a tidying's own job included at $15 a million."""
    prices = Prices()
    row = bench.units["search row"] / number
    calls = bench.objects.calls
    # Deleting a row is charged like writing it; the text is another's cost.
    writes = 2 * row + bench.units["pairs"] / number
    puts = (calls["put"] - number + calls["keys"]) / number
    gets = calls["get"] / number
    jobs = bench.units["tidyings"] / number
    dollars = writes * prices.table_write + puts * prices.s3_put + gets * prices.s3_get + jobs * 15
    print(
        f"  search: {row:.2f} units for its row, {jobs:.3f} tidyings, {puts:.2f} puts, {gets:.2f} gets a document: "
        f"${dollars:.2f} a million documents; {BANDS} bands ${BANDS * prices.table_write:.2f}"
    )


if __name__ == "__main__":
    main()
