"""Search and near duplicates over a library in memory: latency, requests and their price.

    python -m bench.search [--documents 10000]

Documents of about 1 KB are published by the service's own code, but for what comes before (reading, concepts); the
table and the bucket are dictionaries, so times are this code's own. Then `tidy_library`'s steps are done as often as
the service would, and questions are asked.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

import msgspec

from bench.duplicates import Writer
from chalicelib.aws.expressions import request
from chalicelib.jobs.cost import Prices
from chalicelib.jobs.job import new_id, now_ms
from chalicelib.knowledge.minhash import signature
from chalicelib.knowledge.searchwords import impacts, question
from chalicelib.library.documents import Document, put_document
from chalicelib.library.resemblance import Resemblance
from chalicelib.library.search import Filter, Search
from chalicelib.library.searchindex import SearchIndex, asks_for_tidying, fresh_row
from tests.memory import MemoryObjects, MemoryTable

OWNER: Final = "bench"
_TEXT: Final = 1000


class Counted:
    """Counts the calls of an object's methods."""

    def __init__(self, inner: Any, names: tuple[str, ...]) -> None:
        self.inner = inner
        self.calls: Counter[str] = Counter()
        for name in names:
            setattr(self, name, self._counted(name))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def _counted(self, name: str) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            self.calls[name] += 1
            return getattr(self.inner, name)(*args, **options)

        return call


def write_units(write: Any) -> int:
    """Return what a write of an item is charged in a transaction: two units a KB."""
    _, parameters = request(write, "t")
    size = len(msgspec.json.encode(parameters.get("Item", {})))
    return 2 * max(1, -(-size // 1024))


class Bench:
    """A library, and what it was asked for."""

    def __init__(self) -> None:
        self.table = Counted(MemoryTable(), ("write", "transact", "get", "get_many", "query"))
        self.objects = Counted(MemoryObjects(), ("get", "put", "delete", "keys"))
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
        before = self.table.calls.total()
        near = Resemblance(self.table, OWNER, document)
        near.register()
        looked = self.timed("comparing", near.look)
        self.requests += self.table.calls.total() - before
        fresh = fresh_row(OWNER, doc_id, words)
        self.units["search row"] += write_units(fresh)
        self.units["pairs"] += sum(map(write_units, looked.writes))
        self.objects.put(document.text_key, text.encode())
        self.table.transact([put_document(OWNER, document), fresh, *looked.writes])
        if asks_for_tidying(doc_id):
            self.tidy()

    def tidy(self) -> None:
        """Do what `tidy_library` does."""
        self.units["tidyings"] += 1
        self.timed("tidying", lambda: all(iter(self.index.tidy, None)))

    def ask(self, q: str, wanted: Filter, limit: int) -> tuple[float, int, int]:
        """Return seconds, requests of the table and of the bucket of one search."""
        finder = Search(self.table, self.objects, OWNER)  # type: ignore[arg-type]
        before = self.table.calls.total(), self.objects.calls.total()
        started = time.perf_counter()
        finder.find(question(q), wanted, limit=limit)
        seconds = time.perf_counter() - started
        return seconds, self.table.calls.total() - before[0], self.objects.calls.total() - before[1]


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
    number: int = parser.parse_args().documents
    writer, bench = Writer(2), Bench()
    for place in range(number):
        text = writer.document()[:_TEXT]
        bench.add(text, f"Document {place}")
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
        times = sorted(1000 * seconds for seconds, _, _ in results)
        print(
            f"  {name}: p50 {statistics.median(times):.1f} ms, max {times[-1]:.1f} ms; "
            f"{statistics.mean(rows for _, rows, _ in results):.1f} requests of the table, "
            f"{statistics.mean(spans for _, _, spans in results):.1f} of the bucket"
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
        f"${dollars:.2f} a million documents; 25 bands ${25 * prices.table_write:.2f}"
    )


if __name__ == "__main__":
    main()
