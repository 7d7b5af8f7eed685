"""A library at 1,000, 10,000 and 100,000 documents: what one more costs, and how long everything takes.

    python -m bench.scale [--sizes 1000 10000 100000] [--replaced 1000 10000] [--json figures.json]

One library grows from size to size. Each document is published by the service's own code (concepts, signature, bands,
cluster, search, publication), with its upkeep as often as the service asks for it, on a table and a bucket in memory:
through the emulator, 100,000 documents would take hours (`--through-emulator 200` measures how long). At each size:

- the last 500 documents: processor time and requests each, by what they are for (those before are hurried
  through: see `bench.hurry`);
- a full scan for duplicates and the figures of the library made anew, with the memory that they take;
- the library, but for its bands, is put into an emulator of its own, and the API (Chalice in this process) answers
  every route that lists, searches or counts: median and 95th percentile of 40 requests, after 5 that are not counted,
  and the processor time of one, which depends less on what else the machine does;
- where it was asked for, the replaced search for duplicates: TF-IDF of all pairs, in scikit-learn's own environment.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from bench.answering import latencies
from bench.figures import memory_mb, reset_peak
from bench.filling import OWNER, Library, Spent, watched
from bench.hurry import fill
from bench.search import emulated
from bench.shelves import ShelfTable
from bench.texts import Author
from chalicelib.aws.objects import Objects
from chalicelib.aws.table import DynamoTable
from chalicelib.knowledge import postings
from chalicelib.knowledge.postings import Written
from chalicelib.library.pairs import Pairs
from chalicelib.library.searchindex import SearchIndex
from chalicelib.logs import logger
from chalicelib.tasks.find_duplicates import find_duplicates
from chalicelib.tasks.refresh_analytics import refresh_analytics
from chalicelib.tasks.tidy_library import tidy_library
from local.environments import ensure_environment
from tests.memory import MemoryObjects

_ROOT: Final = Path(__file__).resolve().parent.parent
_LAST: Final = 500


def measured(do: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
    """Do something; return what it gave, and seconds, processor seconds and MB beyond what there was."""
    reset_peak()
    before, started, cpu = memory_mb("VmRSS"), time.perf_counter(), time.process_time()
    done = do()
    return done, {
        "seconds": round(time.perf_counter() - started, 2),
        "cpu_seconds": round(time.process_time() - cpu, 2),
        "more_mb": round(memory_mb("VmHWM") - before, 1),
    }


def measure(
    library: Library, author: Author, texts: Iterator[str], size: int, spent: Spent
) -> dict[str, Any]:
    """Let the library grow to a size; return what its last documents took, and what its upkeep takes."""
    started = time.perf_counter()
    number = min(_LAST, size // 2)
    fill(library, author, texts, size - number)
    library.upkeep("tidy_library", tidy_library)
    library.table.requests.clear()
    spent.clear()
    with watched(spent):
        for place in range(size - number, size):
            spent.on("all", library.add)(next(texts), place)
            spent.on("tidying", library.tidy_if_asked)()
    seconds, requests = spent.seconds, spent.requests
    rest = {"publication": seconds["all"] - sum(seconds[name] for name in set(seconds) - {"all", "tidying"})}
    figures: dict[str, Any] = {
        "filled_seconds": round(time.perf_counter() - started, 1),
        "cpu_ms": {name: round(1000 * value / number, 3) for name, value in {**seconds, **rest}.items()},
        "requests": {name: round(value / number, 2) for name, value in requests.items()},
        "memory_mb": round(memory_mb("VmRSS")),
        "clusters": sum(key[1].startswith("CLUSTER#") for key in library.table.items),
        "segments": sum(key[1].startswith("SEGMENT#") for key in library.table.items),
        "fresh": sum(key[1].startswith("FRESH#") for key in library.table.items),
        "planted_found": _recall(library, author),
    }
    job, figures["scan"] = measured(
        lambda: library.run("find_duplicates_background", find_duplicates, params={"threshold": 0.8})
    )
    figures["scan"]["added"] = (job.result or {})["pairs_added"]
    size, figures["merge"] = measured(lambda: _merged(library))
    figures["merge"]["index_mb"] = round(size / 1e6, 1)
    _, figures["analytics"] = measured(lambda: library.upkeep("refresh_analytics", refresh_analytics))
    return figures


def _merged(library: Library) -> int:
    """Make one segment of all, more than a tidying ever does at once; return its bytes."""
    index = SearchIndex(library.table, library.objects, OWNER)
    wholes = [
        postings.in_memory(Written(library.objects.get(each.key), each.directory))
        for each in index.read().segments
    ]
    sizes = sum(each.size for each in index.read().segments)
    written = postings.merge(wholes, sizes=sizes) if wholes else None
    return len(written.body) if written else 0


def _recall(library: Library, author: Author) -> float:
    """Return the share of planted edits whose pair was kept when the edit came."""
    kept = {(pair.older, pair.newer) for pair in Pairs(library.table, OWNER).all()}
    planted = [entry for entry in author.planted if entry.edit < len(library.ids)]
    hits = sum((library.ids[entry.original], library.ids[entry.edit]) in kept for entry in planted)
    return round(hits / max(1, len(planted)), 4)


# --- The replaced system, and the emulator ---------------------------------------------------------------------


def replaced(texts: Sequence[str]) -> dict[str, Any]:
    """Compare all pairs as the replaced system did."""
    python = ensure_environment("analysis", _ROOT / "containers" / "analysis" / "requirements.txt")
    done = subprocess.run(
        [str(python), "-m", "bench.allpairs"],
        input=json.dumps(texts),
        capture_output=True,
        text=True,
        check=True,
        cwd=_ROOT,
    )
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def against(library: Library, texts: Sequence[str]) -> dict[str, Any]:
    """Return the figures of all pairs by TF-IDF, and which share of them the library has."""
    found = replaced(texts)
    kept = {(pair.older, pair.newer) for pair in Pairs(library.table, OWNER).all()}
    pairs = found.pop("pairs")
    hits = sum((library.ids[a], library.ids[b]) in kept for a, b in pairs)
    return {**found, "pairs": len(pairs), "found_here": round(hits / max(1, len(pairs)), 4)}


def through_emulator(number: int) -> float:
    """Return the seconds that a document takes which is published into an emulator."""
    texts = Author(3).texts()
    with TemporaryDirectory() as folder, emulated(Path(folder)):
        library = Library(DynamoTable("bench"), Objects("bench", "bench"), Path(folder))
        library.add(next(texts), 0)
        started = time.perf_counter()
        for place, text in enumerate(islice(texts, number)):
            library.add(text, place)
        return (time.perf_counter() - started) / number


def main() -> None:
    """Measure each size, and how everything grows."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--sizes", type=_numbers, nargs="+", default=[[1000, 10_000, 100_000]])
    parser.add_argument(
        "--replaced", type=_numbers, nargs="*", default=[], help="sizes of the replaced search"
    )
    parser.add_argument("--through-emulator", type=int, default=0, metavar="NUMBER")
    parser.add_argument("--keep", type=Path, help="keep each library there, for --answer")
    parser.add_argument("--answer", type=Path, help="measure the routes of a kept library, nothing else")
    parser.add_argument("--json", type=Path, help="write the figures there, too")
    given = parser.parse_args()
    given.sizes = [size for sizes in given.sizes for size in sizes]
    given.replaced = [size for sizes in given.replaced for size in sizes]
    logger.setLevel("WARNING")
    if given.answer:
        routes = latencies(Library.kept(given.answer), Author(1))
        print(json.dumps({"load": os.getloadavg(), "routes": routes}, indent=1))
        return
    figures: dict[str, Any] = {"load": os.getloadavg()}
    if given.through_emulator:
        figures["through_emulator_ms"] = round(1000 * through_emulator(given.through_emulator), 1)
        print(f"published into an emulator: {figures['through_emulator_ms']} ms a document", flush=True)
    author = Author(1)
    texts = author.texts()
    told: list[str] = []
    with TemporaryDirectory() as folder:
        library = Library(ShelfTable(), MemoryObjects(), Path(folder))
        spent = Spent(library.table)
        for size in given.sizes:
            found = measure(library, author, _kept(texts, told, given.replaced), size, spent)
            if size in given.replaced:
                found["replaced"] = against(library, told[:size])
            print(f"\n{size:,} documents\n{json.dumps(found, indent=1)}", flush=True)
            if given.keep:
                library.keep(given.keep / f"{size}.pickle")
            found["routes"] = latencies(library, author)
            print(json.dumps(found["routes"], indent=1), flush=True)
            figures[str(size)] = found
            _save(given.json, figures)
    _compare(figures, given.sizes)
    figures["load_after"] = os.getloadavg()
    _save(given.json, figures)


def _numbers(text: str) -> list[int]:
    """Read numbers with commas between them."""
    return [int(number) for number in text.split(",")]


def _kept(texts: Iterator[str], told: list[str], wanted: Sequence[int]) -> Iterator[str]:
    """Yield texts; keep as many as are needed for another search."""
    for text in texts:
        if len(told) < max(wanted, default=0):
            told.append(text)
        yield text


def _save(path: Path | None, figures: dict[str, Any]) -> None:
    if path:
        path.write_text(json.dumps(figures, indent=1), encoding="utf-8")


def _compare(figures: dict[str, Any], sizes: Sequence[int]) -> None:
    """Print how much everything grows from the first size to the last."""
    if len(sizes) < 2:
        return
    first, last = figures[str(sizes[0])], figures[str(sizes[-1])]
    decades = math.log(sizes[-1] / sizes[0])
    print("\ngrowth, as a power of the number of documents")
    for name, value in first["cpu_ms"].items():
        if value and last["cpu_ms"].get(name):
            print(f"  CPU of {name}: {math.log(last['cpu_ms'][name] / value) / decades:.2f}")
    for name in ("scan", "analytics"):
        power = math.log(last[name]["cpu_seconds"] / max(0.01, first[name]["cpu_seconds"])) / decades
        print(f"  CPU of {name}: {power:.2f}")
    for name, value in first["routes"].items():
        print(f"  {name}: {last['routes'][name]['p50'] / value['p50']:.2f} times as long")


if __name__ == "__main__":
    main()
