"""The pages of one file: several at a time, resumable, none able to spoil the others.

The main thread prepares one page after the other in the sandbox, while threads wait for Tesseract on those before.
So forks and progress are the main thread's alone, and what stops it (a signal, the progress callback) stops all.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Final

import msgspec

from chalicelib.errors import HandOver, PermanentError
from chalicelib.ingest.confinement import MB, Limits
from chalicelib.ingest.document import Source
from chalicelib.ingest.formats import SCANS
from chalicelib.ingest.reading import Workplace
from chalicelib.ingest.sandbox import run_sandboxed
from chalicelib.ocr.pages import prepare
from chalicelib.ocr.preparation import Findings
from chalicelib.ocr.recognition import Reading, Recogniser

# Pages after which what is done is saved.
_CHECKPOINT_PAGES: Final = 10
# A page is begun only if this many seconds are left, and thrice the time of the slowest page so far.
_RESERVE_SECONDS: Final = 30.0
# More threads would wait for the preparation, which is one page after the other.
_MAX_WORKERS: Final = 4
# A prepared page has at most 25 million bytes.
_PAGE_FILE_BYTES: Final = 64 * MB

# Below this confidence a page may stand on its head: text that does is read at 20 to 40, upright text at over 80.
_DOUBTFUL: Final = 70.0
# Below this confidence what was read is no text.
_NONSENSE: Final = 50.0


class PageResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one page."""

    # Empty where there is no text.
    text: str = ""
    # Mean confidence of the words, 0 to 100.
    confidence: float = 0.0
    # Why the page could not be read, for people; else empty.
    problem: str = ""


class _Step(msgspec.Struct, frozen=True, kw_only=True):
    """A page that is to be prepared and read; for the second time if it turned out not to be upright."""

    page: int
    # Degrees to turn it clockwise.
    turn: int = 0
    # What was read the first time.
    before: Reading | None = None


class PageRun:
    """Reads the pages of one file, but for those that an earlier run has saved."""

    def __init__(
        self, source: Source, place: Workplace, recogniser: Recogniser, pages: Sequence[int]
    ) -> None:
        self._source = source
        self._place = place
        self._recogniser = recogniser
        self._total = len(pages)
        # By page number.
        self.results = {page: found for page, found in _saved(place).items() if page in set(pages)}
        # What the first page that could not be read raised, in this run.
        self.first_error: PermanentError | None = None
        self._waiting = deque(_Step(page=page) for page in pages if page not in self.results)
        self._running: dict[Future[Reading | _Step], _Step] = {}
        # Pages finished in this run, and the time of the slowest in seconds.
        self._finished = 0
        self._slowest = 0.0

    def work(self, stop: Callable[[], None]) -> None:
        """Read every page; raise HandOver when the time is up before. `stop` ends what the threads wait for."""
        if not self._total:
            return
        workers = min(_MAX_WORKERS, available_cores())
        pool = ThreadPoolExecutor(workers, thread_name_prefix="page")
        try:
            self._report()
            self._work(pool, workers)
        except BaseException:
            stop()
            raise
        finally:
            pool.shutdown(cancel_futures=True)
            for left in self._place.folder.glob("page-*.pgm"):  # prepared, but never read
                left.unlink()

    def _work(self, pool: ThreadPoolExecutor, workers: int) -> None:
        while self._waiting or self._running:
            # One page more than can be read at a time is prepared, so that no thread has to wait for it.
            if self._waiting and self._may_begin() and len(self._running) <= workers:
                self._begin(pool, self._waiting.popleft())
            elif self._running:
                wait(self._running, return_when=FIRST_COMPLETED)
            else:
                raise self._hand_over()
            self._collect()

    def _may_begin(self) -> bool:
        """Say whether there is time for another page; for one there is, always, or no run would get anywhere."""
        if not self._finished and not self._running:
            return True
        return self._place.seconds_left() > max(_RESERVE_SECONDS, 3 * self._slowest)

    def _begin(self, pool: ThreadPoolExecutor, step: _Step) -> None:
        started = time.monotonic()
        target = self._place.folder / f"page-{step.page}-{step.turn}.pgm"
        try:
            found = run_sandboxed(
                prepare,
                self._source,
                step.page,
                step.turn,
                str(target),
                result_type=Findings,
                limits=sandbox_limits(self._place),
            )
        except PermanentError as error:
            target.unlink(missing_ok=True)
            self._finish(step, self._failed(step, error))
        else:
            self._running[pool.submit(self._read, step, target, found, started)] = step

    def _read(self, step: _Step, target: Path, found: Findings, started: float) -> Reading | _Step:
        """Read a prepared page; return a step instead where it must be turned first. Runs in a thread."""
        try:
            return self._read_upright(step, target, sideways=found.sideways)
        finally:
            self._slowest = max(self._slowest, time.monotonic() - started)
            target.unlink()

    def _read_upright(self, step: _Step, target: Path, *, sideways: bool) -> Reading | _Step:
        if sideways and not step.turn and (turn := self._recogniser.turn_of(target)):
            return _Step(page=step.page, turn=turn)
        reading = self._recogniser.read(target)
        if step.before is not None:
            return max(step.before, reading, key=lambda either: either.letters)
        if sideways or step.turn or reading.confidence >= _DOUBTFUL:
            return reading
        turn = self._recogniser.turn_of(target)
        return _Step(page=step.page, turn=turn, before=reading) if turn else reading

    def _collect(self) -> None:
        for future in [future for future in self._running if future.done()]:
            step = self._running.pop(future)
            try:
                outcome = future.result()
            except PermanentError as error:
                self._finish(step, self._failed(step, error))
                continue
            if isinstance(outcome, _Step):
                self._waiting.appendleft(outcome)
            else:
                self._finish(step, _result(outcome))

    def _finish(self, step: _Step, result: PageResult) -> None:
        self.results[step.page] = result
        self._finished += 1
        if len(self.results) % _CHECKPOINT_PAGES == 0 and len(self.results) < self._total:
            self._save()
        self._report()

    def _failed(self, step: _Step, error: PermanentError) -> PageResult:
        if step.before is not None:
            return _result(step.before)
        self.first_error = self.first_error or error
        return PageResult(problem=error.message)

    def _report(self) -> None:
        done = len(self.results)
        # The page that is being worked on; the last one stays when all are done.
        self._place.on_progress(done, self._total, f"page {min(done + 1, self._total)} of {self._total}")

    def _hand_over(self) -> HandOver:
        self._save()
        return HandOver(f"Going on at page {len(self.results) + 1} of {self._total}.", queue=SCANS)

    def _save(self) -> None:
        self._place.checkpoint.save(msgspec.json.encode(self.results))


def sandbox_limits(place: Workplace) -> Limits:
    """Return what a child may use for one page, or for one look at a file."""
    return Limits(
        memory_bytes=place.limits.memory_bytes, seconds=place.limits.seconds, file_bytes=_PAGE_FILE_BYTES
    )


def available_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _saved(place: Workplace) -> dict[int, PageResult]:
    data = place.checkpoint.load()
    if data is None:
        return {}
    try:
        return msgspec.json.decode(data, type=dict[int, PageResult])
    except msgspec.DecodeError:
        return {}  # Another version wrote it: the pages are read again.


def _result(reading: Reading) -> PageResult:
    if reading.confidence < _NONSENSE:
        return PageResult(confidence=reading.confidence)
    return PageResult(text=reading.text, confidence=reading.confidence)
