"""Topics, measured: how good they are while documents stream in and after a regrouping, and what a regrouping takes.

    .venvs/analysis/bin/python -m bench.clusters [--documents 1000 10000]

Quality is the adjusted Rand index (Hubert and Arabie, 1985) and normalised mutual information against known topics:
short texts written for the tests, modules of Python's own library by package, generated texts of many small topics,
and a family of letters beside other texts. All figures are means of several random orders.

Size: a generated library grows to each size as the service lets it grow, with a regrouping at each doubling, on a
table and a bucket in memory: so times are the service's own, without a database's.
"""

from __future__ import annotations

import argparse
import random
import sysconfig
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from bench.figures import memory_mb, reset_peak
from bench.shelves import ShelfTable
from bench.texts import Author, Writer
from chalicelib.aws.expressions import Update
from chalicelib.jobs.job import new_id, now_ms
from chalicelib.knowledge.clusters import Centroid, founded, joined, nearest
from chalicelib.knowledge.communities import ALONE, labels_of
from chalicelib.knowledge.terms import term_vector
from chalicelib.library import regroup_jobs
from chalicelib.library.assignment import Assignment
from chalicelib.library.documents import Document, counts_key, put_document
from chalicelib.library.regrouping import Regrouping
from chalicelib.logs import logger
from tests.memory import MemoryObjects
from tests.unit.labelled_texts import TOPICS

OWNER: Final = "ann"
_ORDERS: Final = 5
# Packages of Python's library with enough modules, and how many modules of each are taken at most.
_PACKAGES: Final = (
    *("asyncio", "ctypes", "distutils", "email", "encodings", "idlelib", "importlib", "lib2to3"),
    *("multiprocessing", "tkinter", "unittest", "xml"),
)
_MODULES: Final = 30
_LAST: Final = 200


class Labelled(NamedTuple):
    """A text and its topic."""

    topic: str
    vector: dict[str, float]


# --- Texts whose topics are known ----------------------------------------------------------------------------


def short_texts() -> list[Labelled]:
    """Return 40 texts of about 40 words on 8 topics."""
    return [Labelled(topic, term_vector(text)) for topic, texts in TOPICS.items() for text in texts]


def modules(cut: int) -> list[Labelled]:
    """Return the beginnings of modules of Python's library, by package."""
    root = Path(sysconfig.get_paths()["stdlib"])
    found = []
    for package in _PACKAGES:
        files = [
            file
            for file in sorted((root / package).rglob("*.py"))
            if not {"test", "tests", "idle_test"} & set(file.relative_to(root).parts)
        ]
        texts = [text for file in files if len(text := file.read_text(errors="replace")) > 1500]
        random.Random(1).shuffle(texts)
        found += [Labelled(package, term_vector(text[:cut])) for text in texts[:_MODULES]]
    return found


def small_topics(topics: int = 300, each: int = 6) -> list[Labelled]:
    """Return generated texts of 8 to 30 sentences on many small topics."""
    writer = Writer(3)
    subjects = [writer.random.sample(writer.words[300:], 40) for _ in range(topics)]
    return [
        Labelled(str(number), term_vector(text_on(writer, subject)))
        for number, subject in enumerate(subjects)
        for _ in range(each)
    ]


def letters(number: int = 200) -> list[Labelled]:
    """Return a family of letters, each with eight words of its own, beside texts on seven topics."""
    chance = random.Random(1)
    letter = " ".join(TOPICS["finance"][:2]).split()
    other = " ".join(TOPICS["astronomy"]).split()
    made = [text for text in short_texts() if text.topic != "finance"]
    for _ in range(number):
        words = list(letter)
        for _ in range(8):
            words[chance.randrange(len(words))] = chance.choice(other)
        made.append(Labelled("letters", term_vector(" ".join(words))))
    return made


def versions(of: int = 3) -> list[Labelled]:
    """Return the short texts, each in so many versions: words in another order, one in five left out."""
    chance = random.Random(2)
    made = []
    for topic, texts in TOPICS.items():
        for text in texts:
            made.append(Labelled(topic, term_vector(text)))
            for _ in range(of - 1):
                words = text.split()
                chance.shuffle(words)
                made.append(Labelled(topic, term_vector(" ".join(words[: int(len(words) * 0.8)]))))
    return made


def text_on(writer: Writer, subject: list[str]) -> str:
    """Return 8 to 30 sentences on a subject."""
    return " ".join(writer.sentence(subject) for _ in range(writer.random.randint(8, 30)))


# --- Quality -------------------------------------------------------------------------------------------------


def streamed(texts: Sequence[Labelled]) -> list[str]:
    """Return the cluster of each text, when they arrive in this order."""
    clusters: dict[str, Centroid] = {}
    labels = []
    for number, text in enumerate(texts):
        found = nearest(text.vector, clusters.values())
        after = joined(found, text.vector, []) if found else founded(f"c{number}", text.vector, [])
        clusters[after.cluster_id] = after
        labels.append(after.cluster_id)
    return labels


def regrouped(texts: Sequence[Labelled]) -> list[str]:
    """Return the community of each text."""
    labels = labels_of([text.vector for text in texts])
    return [str(label) if label != ALONE else f"alone {place}" for place, label in enumerate(labels)]


def quality(texts: Sequence[Labelled], group: Callable[[Sequence[Labelled]], list[str]]) -> list[float]:
    """Return Rand index, mutual information and number of groups, each the mean of several orders."""
    rows = []
    for seed in range(_ORDERS):
        shuffled = list(texts)
        random.Random(seed).shuffle(shuffled)
        truth, found = [text.topic for text in shuffled], group(shuffled)
        rows.append(
            (adjusted_rand_score(truth, found), normalized_mutual_info_score(truth, found), len(set(found)))
        )
    return [sum(column) / _ORDERS for column in zip(*rows, strict=True)]


def print_quality() -> None:
    """Print the figures of every set."""
    shorts, long = short_texts(), modules(8000)
    chance = random.Random(5)
    sets = {
        **{f"{number} of the short texts": chance.sample(shorts, number) for number in (10, 20)},
        "40 short texts, 8 topics": shorts,
        **{f"{number} of the modules": chance.sample(long, number) for number in (20, 40, 60)},
        "modules, 800 characters": modules(800),
        "modules, 8,000 characters": long,
        "300 generated topics of 6": small_topics(),
        "short texts in 3 versions": versions(),
        "200 letters beside 35 texts": letters(),
    }
    print(f"{'':30} {'texts':>5} {'topics':>6}   {'streaming':>16}   {'regrouped':>16}")
    for name, texts in sets.items():
        cells = ["{:.2f} {:.2f} {:5.1f}".format(*quality(texts, group)) for group in (streamed, regrouped)]
        topics = len({text.topic for text in texts})
        print(f"{name:30} {len(texts):5} {topics:6}   {cells[0]:>16}   {cells[1]:>16}", flush=True)


# --- Size ----------------------------------------------------------------------------------------------------


class Growing:
    """A library that grows, with the topic of each document."""

    def __init__(self) -> None:
        self.table = ShelfTable()
        self.objects = MemoryObjects()
        self.topics: dict[str, str] = {}
        self.moved = 0
        self._author = Author(7)
        self._texts = self._author.texts()
        self._due = regroup_jobs.LEAST

    def add(self) -> float:
        """Publish a document as far as topics are concerned; return the processor seconds of its assignment."""
        text = next(self._texts)
        topic = self._author.topic
        doc_id = new_id()
        self.objects.put(f"texts/{doc_id}", text.encode())
        self.topics[doc_id] = str(topic)
        vector = term_vector(text)
        words = self._author.topics[topic]
        concepts = [
            f"{words[number]} {words[number + 1]}" for number in self._author.random.sample(range(20), 3)
        ]
        assignment = Assignment(self.table, OWNER)
        started = time.process_time()
        choice = assignment.choose(vector, concepts)
        document = Document(
            doc_id=doc_id,
            job_id=doc_id,
            title="",
            filename="",
            source_type="text",
            concepts=[{"name": name} for name in concepts],
            cluster_id=choice.after.cluster_id,
            text_key=f"texts/{doc_id}",
            characters=len(text),
            words=0,
            created_at=now_ms(),
        )
        self.table.transact(
            [
                put_document(OWNER, document),
                assignment.clusters.save(choice.before, choice.after),
                Update(key=counts_key(OWNER), add={"documents": 1}),
            ]
        )
        assignment.follow_up()
        return time.process_time() - started

    def regroup(self) -> dict[str, float]:
        """Regroup it; return figures."""
        before, regrouping = self.quality(), Regrouping(self.table, self.objects, OWNER)  # type: ignore[arg-type]
        regrouping.claim("bench")
        reset_peak()
        memory, times = memory_mb("VmRSS"), [time.perf_counter()]
        requests = self.table.requests.copy()
        read = [0.0]

        def on_progress(_share: float) -> None:
            read[0] = read[0] or time.perf_counter()

        plan = regrouping.plan(lambda _read: True, on_progress)
        times.append(time.perf_counter())
        for _ in regrouping.carry_out(plan):
            pass
        clusters = regrouping.finish(plan)
        times.append(time.perf_counter())
        regrouping.release("bench", documents=plan.documents, clusters=clusters)
        self.moved += plan.moved
        return {
            "documents": plan.documents,
            "moved": plan.moved,
            "clusters before": plan.clusters_before,
            "clusters after": clusters,
            "ARI before": before,
            "ARI after": self.quality(),
            "seconds reading, to the first edges": (read[0] or times[1]) - times[0],
            "seconds graph and communities": times[1] - (read[0] or times[1]),
            "seconds moving and naming": times[2] - times[1],
            "transactions": (self.table.requests - requests)["transact"],
            "MB more at most": memory_mb("VmHWM") - memory,
        }

    def quality(self) -> float:
        """Return the adjusted Rand index as things stand."""
        rows = [row for key, row in self.table.items.items() if key[1].startswith("DOC#")]
        found = [row["cluster_id"] for row in rows]
        return float(adjusted_rand_score([self.topics[row["doc_id"]] for row in rows], found))

    def grow(self, number: int) -> None:
        """Let it grow to a size, with a regrouping whenever it has doubled."""
        while (documents := len(self.topics)) < number:
            if documents >= self._due:
                self.regroup()
                self._due *= 2
            self.add()


def print_size(number: int) -> None:
    """Print the figures of one size."""
    library = Growing()
    library.grow(number - _LAST)
    requests = library.table.requests.copy()
    seconds = sum(library.add() for _ in range(_LAST))
    each: Counter[str] = library.table.requests - requests
    print(f"\n{number:,} documents")
    shown = ", ".join(f"{name} {count / _LAST:.2f}" for name, count in sorted(each.items()))
    print(f"  assignment of one more: {seconds / _LAST * 1000:.2f} ms of processor time; requests: {shown}")
    print(f"  moves a document so far: {library.moved / number:.2f}")
    for name, value in library.regroup().items():
        print(f"  {name:36} {value:,.2f}")


def main() -> None:
    """Measure quality, then each size."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--documents", type=int, nargs="*", default=[1000, 10_000])
    given = parser.parse_args()
    logger.setLevel("ERROR")
    print_quality()
    for number in given.documents:
        print_size(number)


if __name__ == "__main__":
    main()
