"""Reads spoiled files, the whole way through detection and sandbox, and judges how each ended."""

from __future__ import annotations

import importlib.util
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random

import msgspec
import psutil

from chalicelib.errors import SyncBoardError
from chalicelib.folders import PARSER_FOLDER
from chalicelib.ingest.codetrees import ArchivePlan, plan
from chalicelib.ingest.confinement import Limits
from chalicelib.ingest.content import HEAD_BYTES, ContentType, sniff
from chalicelib.ingest.document import ProgressCallback, Source, ignore_progress
from chalicelib.ingest.extraction import ExtractionLimits, extract, source_of
from chalicelib.ingest.sandbox import run_sandboxed
from chalicelib.ocr.pages import prepare, survey
from tests.fuzz.corpus import Seed
from tests.fuzz.mutations import spoiled

LIMITS = ExtractionLimits(memory_bytes=256 * 1024**2, seconds=5, max_pages=200)
# The sandbox's limit, and its way there and back on a busy machine.
MAX_SECONDS = LIMITS.seconds + 3
# How a spoiled file may end. What the sandbox stopped is counted by what stopped it.
READ, REFUSED, STOPPED = "read", "refused", ("memory_limit", "time_limit", "signal")


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """A spoiled file that ended as none may."""

    seed: Seed
    # Which of the seed's spoiled files.
    number: int
    what: str
    data: bytes


class Report(msgspec.Struct, kw_only=True):
    """What became of one kind's spoiled files."""

    kind: str
    ends: Counter[str] = msgspec.field(default_factory=Counter)
    slowest: float = 0.0
    failures: list[Failure] = msgspec.field(default_factory=list)


def campaign(
    seeds: Sequence[Seed],
    *,
    seed: int,
    mutations: int,
    seconds: float = float("inf"),
    on_kind: Callable[[Report], None] = lambda _report: None,
) -> list[Report]:
    """Spoil each kind's files `mutations` times in all; stop after `seconds`. Return a report for each kind."""
    deadline = time.monotonic() + seconds
    reports = []
    for kind in sorted({one.kind for one in seeds}):
        own = [one for one in seeds if one.kind == kind]
        others = [one.data for one in seeds if one.kind != kind] or [b"other"]
        report = Report(kind=kind)
        for number in range(mutations):
            if time.monotonic() > deadline:
                break
            one = own[number % len(own)]
            _try(report, one, number, spoiled(Random(f"{seed}/{one.filename}/{number}"), one.data, others))
        reports.append(report)
        on_kind(report)
    return reports


def _try(report: Report, seed: Seed, number: int, data: bytes) -> None:
    with tempfile.TemporaryDirectory(prefix="syncboard-fuzz-") as folder:
        path = Path(folder) / "source"
        path.write_bytes(data)
        before = _children()
        began = time.monotonic()
        end = _end(path, data, seed.filename)
    took = time.monotonic() - began
    report.slowest = max(report.slowest, took)
    wrong = [*_left_behind(before), *([f"it took {took:.1f} s"] if took > MAX_SECONDS else [])]
    if end not in (READ, REFUSED, *STOPPED):
        wrong.insert(0, end)
    report.ends["failed" if wrong else end] += 1
    if wrong:
        report.failures.append(Failure(seed=seed, number=number, what="; ".join(wrong), data=data))


def _end(path: Path, data: bytes, filename: str) -> str:
    """Return how reading the file ended: one of the good ends, or what is wrong with it."""
    try:
        _read(path, sniff(data[:HEAD_BYTES], filename=filename, size=len(data)), filename)
    except SyncBoardError as error:
        cause = error.details.get("cause")
        if cause in STOPPED or cause is None:
            return cause or REFUSED
        return f"{error.type} ({cause}): {error.message}"
    except Exception:  # the finding that all this is for
        return "outside of the error tree: " + traceback.format_exc(limit=-3)
    return READ


def _read(path: Path, content: ContentType, filename: str) -> None:
    limits = Limits(memory_bytes=LIMITS.memory_bytes, seconds=LIMITS.seconds)
    if content.kind == "zip":
        members = path.parent / "members"
        members.mkdir()
        run_sandboxed(plan, str(path), str(members), filename, None, result_type=ArchivePlan, limits=limits)
    elif content.kind == "image":
        source = source_of(path, content=content, filename=filename, password=None, limits=LIMITS)
        run_sandboxed(look, source, result_type=int, limits=limits)
    elif content.kind in ("audio", "video") and importlib.util.find_spec("av"):
        run_sandboxed(listen, str(path), str(path.parent), result_type=int, limits=limits)
    else:
        extract(path, content=content, filename=filename, limits=LIMITS)


def look(source: Source, *, on_progress: ProgressCallback = ignore_progress) -> int:
    """Do all that is done with a picture's own bytes; return its pages."""
    found = survey(source, on_progress=on_progress)
    prepare(source, 1, 0, "page.pgm", on_progress=on_progress)
    return found.pages


def listen(path: str, folder: str, *, on_progress: ProgressCallback = ignore_progress) -> int:
    """Do all that is done with a recording's own bytes; return its samples."""
    from chalicelib.media import decoding

    decoding.probe(path, on_progress=on_progress)
    return decoding.decode(path, folder, 0, 1, 600, on_progress=on_progress).samples


def _children() -> set[int]:
    """Return the living children of this process."""
    return {
        child.pid
        for child in psutil.Process().children()
        if child.is_running() and child.status() != "zombie"
    }


def _left_behind(before: set[int]) -> Iterator[str]:
    """Yield what a reading has left behind, and remove nothing of it."""
    if children := _children() - before:
        yield f"children are left: {sorted(children)}"
    if folders := [path.name for path in Path(tempfile.gettempdir()).glob(f"{PARSER_FOLDER}*")]:
        yield f"folders are left: {folders}"
