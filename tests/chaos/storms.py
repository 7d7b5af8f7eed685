"""The storms: each hands in its files and interferes while they are worked on."""

from __future__ import annotations

import contextlib
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Final

import msgspec
import psutil

from chalicelib.errors import Unavailable
from chalicelib.jobs.messages import CallToWork, encode
from tests.chaos.deletions import delete_and_merge
from tests.chaos.handle import Handle
from tests.chaos.load import Handed, Senders, plan
from tests.chaos.site import LEASE_SECONDS, SKEW_SECONDS, Site, eventually_true

# Queue of the files that storms hand in, and of S3's events.
_QUEUE: Final = "uploads"
_INTAKE: Final = "intake"
_NONSENSE: Final = ("no JSON", '{"job_id": 7}')


class Storm(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of interference."""

    name: str
    # For people: what is done.
    what: str
    # Interferes in a thread of its own while jobs run, until told to stop.
    rage: Callable[[Site, Handle, random.Random], None] | None = None
    # Faults that are on meanwhile (fields of `faults.Faults`).
    faults: dict[str, float] = {}
    # More workers, by how far their clocks are ahead.
    workers: tuple[float, ...] = ()
    # Files that kill their process, and the share of near duplicates.
    poisons: int = 0
    copies: float = 0.0
    # Messages that it sends for nobody to read.
    dead_letters: tuple[str, ...] = ()
    # Innocent jobs that may fail by `tolerated` errors, as a share; being killed often enough is bad luck.
    tolerated: float = 0.0
    # Mean executions a job beyond which too much work was done twice.
    executions: float = 3.0
    # How long everything may take to become quiet, in seconds.
    seconds: float = 180.0


# --- Interference --------------------------------------------------------------------------------------------


def repeat_messages(site: Site, handle: Handle, dice: random.Random) -> None:
    """Send every message again, in any order: calls to work, calls with void numbers, S3's events."""
    seen = 0
    for _ in handle.pauses(dice, 0.1, 0.3):
        fresh, seen = handle.handed[seen:], len(handle.handed)
        copies = [
            (_QUEUE, encode(CallToWork(job_id=handed.job_id, dispatch=dispatch)))
            for handed in fresh
            for dispatch in (1, 1, 0, dice.choice((2, 3, 17)))
        ]
        copies += [
            (_INTAKE, event) for handed in fresh if handed.file.form for event in [_event(site, handed)] * 2
        ]
        dice.shuffle(copies)
        for queue, body in copies:
            site.send(queue, body, delay=dice.choice((0, 0, 0, 1, 3)))


def send_nonsense(site: Site, handle: Handle, dice: random.Random) -> None:
    """Repeat messages, and send two that nobody can read."""
    for body in _NONSENSE:
        site.send(_QUEUE, body)
    repeat_messages(site, handle, dice)


def _event(site: Site, handed: Handed) -> str:
    job = site.store.find(handed.job_id)
    key = str(job.params["source"]) if job else ""
    return msgspec.json.encode({"Records": [{"s3": {"object": {"key": key}}}]}).decode()


def kill_processes(site: Site, handle: Handle, dice: random.Random) -> None:
    """kill -9 what works, every moment; the whole worker now and then."""
    kinds = ["work"] * 5 + ["environment"] * 4 + ["forkserver"] + ["worker"]
    workers = 0
    for _ in handle.pauses(dice, 0.4, 1.6):
        kind = dice.choice(kinds)
        if kind == "worker":
            workers += 1
            if workers > 2:
                continue  # the stack waits ever longer before it starts a dying worker again
        site.kill(kind, dice)


def restart_emulator(site: Site, handle: Handle, dice: random.Random) -> None:
    """Stop the emulator gracefully, twice; the stack starts it again."""
    for _ in range(2):
        if handle.stopping.wait(dice.uniform(1.0, 3.0)):
            return
        emulator = site.emulator()
        emulator.terminate()
        psutil.wait_procs([emulator], timeout=30)
        eventually_true(lambda: _answers(site), seconds=60)


def _answers(site: Site) -> bool:
    with contextlib.suppress(Unavailable):
        site.depth(_QUEUE)
        return True
    return False


def freeze_processes(site: Site, handle: Handle, dice: random.Random) -> None:
    """SIGSTOP supervisors, their children or both for longer than their lease; then let them wake."""
    frozen: list[tuple[float, list[psutil.Process]]] = []
    for _ in handle.pauses(dice, 0.1, 0.4):
        frozen = _wake(frozen, time.monotonic())
        held = {victim.pid for _, victims in frozen for victim in victims}
        parents = [parent for parent in site.processes("environment") if parent.pid not in held]
        if not parents:
            continue
        parent = dice.choice(parents)
        with contextlib.suppress(psutil.NoSuchProcess):
            children = parent.children()
            victims = dice.choice(([parent], [*children, parent], children))
            _signal(victims, signal.SIGSTOP)
            until = time.monotonic() + LEASE_SECONDS + SKEW_SECONDS + dice.uniform(0.2, 2.0)
            frozen.append((until, victims))
    while frozen:
        time.sleep(0.1)
        frozen = _wake(frozen, time.monotonic())


def _wake(
    frozen: list[tuple[float, list[psutil.Process]]], now: float
) -> list[tuple[float, list[psutil.Process]]]:
    """Wake those whose time has come; return the others."""
    for until, victims in frozen:
        if until <= now:
            _signal(victims, signal.SIGCONT)
    return [(until, victims) for until, victims in frozen if until > now]


def _signal(victims: list[psutil.Process], number: signal.Signals) -> None:
    for victim in victims:
        with contextlib.suppress(psutil.NoSuchProcess):
            victim.send_signal(number)


STORMS: Final = (
    Storm(
        name="doubles",
        what="every message 4 more times, in any order, void and unreadable ones",
        rage=send_nonsense,
        dead_letters=_NONSENSE,
        executions=1.0,
    ),
    Storm(
        name="kills",
        what="kill -9 of children, supervisors, fork server, worker",
        rage=kill_processes,
        faults={"slow": 0.3},
        tolerated=0.05,
    ),
    Storm(
        name="deaths",
        what="processes die before and after any request",
        # An ingestion makes some forty requests: about every third run dies.
        faults={"deadly": 0.01},
        tolerated=0.05,
    ),
    Storm(
        name="restarts",
        what="the emulator stops and starts, twice",
        rage=restart_emulator,
        faults={"slow": 0.2},
    ),
    Storm(
        name="freezes",
        what="SIGSTOP past the lease, then SIGCONT",
        rage=freeze_processes,
        faults={"slow": 0.8},
        workers=(0.0,),
        tolerated=0.05,
    ),
    Storm(
        name="errors",
        what="throttling, 500s, lost answers, calls that fail for good",
        faults={"refused": 0.12, "unanswered": 0.06, "outage": 0.01},
        tolerated=0.05,
    ),
    Storm(
        name="clocks",
        what="three workers, clocks 1 s apart, messages repeated",
        rage=repeat_messages,
        faults={"slow": 0.3},
        workers=(-SKEW_SECONDS / 2, SKEW_SECONDS / 2),
        executions=1.0,
    ),
    Storm(
        name="deletions",
        what="documents deleted twice and merged both ways while others come; kill -9",
        rage=delete_and_merge,
        faults={"slow": 0.1, "refused": 0.05, "unanswered": 0.03},
        copies=0.5,
        tolerated=0.05,
    ),
    Storm(name="poison", what="files that kill their process, early and late", poisons=6),
    Storm(name="disk", what="/tmp full now and then", faults={"disk_full": 0.15}, tolerated=0.05),
)


# --- One storm -----------------------------------------------------------------------------------------------


def unleash(storm: Storm, site: Site, *, jobs: int, seed: int) -> tuple[list[Handed], set[str]]:
    """Hand in a storm's files while it rages; return when all are accepted, the weather calm, and jobs still run.

    Return what was handed in, and the ids of documents that were deleted.
    """
    dice = random.Random(f"{seed}/{storm.name}")
    files = plan(storm.name, jobs=jobs, poisons=storm.poisons, dice=dice, copies=storm.copies)
    senders = Senders(site.stack.url, site.token, site.store)
    handle = Handle()
    with contextlib.ExitStack() as stack:
        for shift in storm.workers:
            stack.enter_context(site.second_worker(shift))
        site.faults(**storm.faults)
        stack.callback(site.faults)
        if storm.rage:
            stack.enter_context(_thread(storm.rage, site, handle, dice))
        for start in range(0, len(files), 8):
            handle.handed += senders.hand_in(files[start : start + 8])
        _rage_on(storm, site, handle)
    return handle.handed, handle.deleted


@contextlib.contextmanager
def _thread(
    rage: Callable[[Site, Handle, random.Random], None], site: Site, handle: Handle, dice: random.Random
) -> Iterator[None]:
    failed: list[BaseException] = []

    def body() -> None:
        try:
            rage(site, handle, dice)
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=body, name="rage")
    thread.start()
    try:
        yield
    finally:
        handle.stopping.set()
        thread.join()
    if failed:
        raise failed[0]


def _rage_on(storm: Storm, site: Site, handle: Handle) -> None:
    """Wait until the queue is nearly empty, at most a while: some jobs must see the storm end."""
    deadline = time.monotonic() + storm.seconds / 3
    enough = max(2, len(handle.handed) // 20)
    while time.monotonic() < deadline:
        with contextlib.suppress(Unavailable):
            if site.depth(_QUEUE).total <= enough:
                return
        time.sleep(0.2)
