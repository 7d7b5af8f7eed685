"""The place of a storm: a running stack, and direct access to what it runs on."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import psutil

from chalicelib import services, settings
from chalicelib.api import tokens
from chalicelib.aws import clients
from chalicelib.aws.expressions import Item, Key
from chalicelib.aws.queues import Depth
from chalicelib.aws.table import DynamoTable
from chalicelib.jobs.job import Job, now_ms
from chalicelib.jobs.states import TERMINAL, Stage, State
from chalicelib.jobs.store import JobStore, Refused
from chalicelib.jobs.sweeper import Sweeper
from chalicelib.library.tidying import tidying
from local.deployment import deploy
from local.outputs import Outputs
from local.stack import secret_file
from tests.caches import forget
from tests.chaos import faults
from tests.chaos.audit import all_jobs
from tests.chaos.faults import Faults
from tests.stack import ROOT, RunningStack
from tests.traces import all_bodies, all_items

INJECTED: Final = Path(__file__).resolve().parent / "injected"
LEASE_SECONDS: Final = 4
SKEW_SECONDS: Final = 1
# A waiting job with no message in its queue for this long is one for the sweeper.
_STUCK_MS: Final = 3000
# Jobs of one owner in the queues: so few that most of a storm's jobs wait for their turn.
WINDOW: Final = 6
# What the stack and this process's own engine must agree on.
_SETTINGS: Final = {
    "SYNCBOARD_LEASE_SECONDS": str(LEASE_SECONDS),
    "SYNCBOARD_CLOCK_SKEW_SECONDS": str(SKEW_SECONDS),
    "SYNCBOARD_MAX_DISPATCHED": str(WINDOW),
}


class Site:
    """One stack for all storms. A context manager."""

    def __init__(self, data: Path, *, seed: int) -> None:
        self.data = data
        self.seed = seed
        self.control = data / "chaos.json"
        data.mkdir(parents=True, exist_ok=True)
        self.faults()
        self.stack = RunningStack(
            data,
            SYNCBOARD_BACKOFF_SECONDS="0.2",
            **_SETTINGS,
            **self._injection(),
        )
        self._exit = contextlib.ExitStack()

    def _injection(self) -> dict[str, str]:
        return {
            faults.CONTROL_VARIABLE: str(self.control),
            "PYTHONPATH": os.pathsep.join((str(INJECTED), str(ROOT))),
        }

    def __enter__(self) -> Site:
        """Start the stack and find its table, queues and bucket."""
        self.stack.start()
        self._exit.callback(self._keep_log)
        self._exit.callback(self.stack.stop)
        try:
            self._connect()
        except BaseException:
            self._exit.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Stop everything."""
        self._exit.close()

    def _connect(self) -> None:
        """Point this process's own settings at the stack's emulator, until the site is left."""
        port = (self.data / "emulator" / "port").read_text(encoding="utf-8").strip()
        self.outputs: Outputs = deploy(f"http://127.0.0.1:{port}", stage="local")
        before = dict(os.environ)
        self._exit.callback(forget)
        self._exit.callback(_restore, before)
        os.environ.update(self.outputs.environment)
        os.environ.update(
            {
                "SYNCBOARD_JWT_SECRET": f"file:{secret_file(self.data)}",
                **_SETTINGS,
            }
        )
        forget()
        self.table: DynamoTable = services.table()
        self.store = JobStore(self.table)

    def _keep_log(self) -> None:
        (self.data / "logs" / "stack.log").write_text("\n".join(self.stack.lines), encoding="utf-8")

    def token(self, owner: str) -> str:
        """Sign a token for an owner."""
        return tokens.issue(owner, seconds=3600)

    def client(self, owner: str) -> httpx.Client:
        """Return a client of the API that speaks for an owner."""
        headers = {"Authorization": f"Bearer {self.token(owner)}"}
        return httpx.Client(base_url=self.stack.url, headers=headers, timeout=30)

    # --- Interference ----------------------------------------------------------------------------------------

    def faults(self, **on: float) -> None:
        """Switch on these faults and no others."""
        faults.write_control(self.control, Faults(seed=self.seed, **on))

    def send(self, queue: str, body: str, *, delay: int = 0) -> None:
        """Put a message straight into a queue."""
        clients.sqs().send_message(
            QueueUrl=settings.get().queue_url(queue), MessageBody=body, DelaySeconds=delay
        )

    def processes(self, kind: str) -> list[psutil.Process]:
        """Return living processes of the stack: worker, forkserver, environment or work."""
        with contextlib.suppress(psutil.Error, StopIteration):
            generations = [[self.stack.worker()]]
            servers = [
                child
                for child in generations[0][0].children()
                if "multiprocessing.forkserver" in " ".join(child.cmdline())
            ]
            generations.append(servers)
            for _ in range(2):
                generations.append([grown for parent in generations[-1] for grown in _children(parent)])
            return generations[("worker", "forkserver", "environment", "work").index(kind)]
        return []

    def kill(self, kind: str, dice: random.Random) -> bool:
        """kill -9 one process of a kind; tell whether there was one."""
        victims = self.processes(kind)
        if not victims:
            return False
        with contextlib.suppress(psutil.NoSuchProcess):
            dice.choice(victims).kill()
            return True
        return False

    @contextlib.contextmanager
    def second_worker(self, shift: float) -> Iterator[None]:
        """Run one more worker, whose clock is `shift` seconds ahead."""
        environment = {
            **os.environ,
            **self._injection(),
            faults.SHIFT_VARIABLE: str(shift),
            "POWERTOOLS_LOG_DEDUPLICATION_DISABLED": "true",
        }
        log = (self.data / "logs" / f"worker{shift:+g}.log").open("ab")
        command = [sys.executable, "-m", "local.worker", "--die-with-parent", str(os.getpid())]
        with log, subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log) as worker:
            try:
                yield
            finally:
                worker.send_signal(signal.SIGTERM)
                worker.wait(30)

    def emulator(self) -> psutil.Process:
        """Return the emulator's process."""
        return next(
            child
            for child in self.stack.process.children()
            if "emulator_launcher" in " ".join(child.cmdline())
        )

    # --- Waiting ---------------------------------------------------------------------------------------------

    def settle(self, owners: Collection[str], *, seconds: float) -> int:
        """Wait until all jobs have ended and no message is left; return how many jobs the sweeper had to help.

        The sweeper's clock runs fast here: a waiting job whose message is nowhere, and an ended one whose run died
        before it had followed up, are looked at after seconds.
        """
        deadline = time.monotonic() + seconds
        helped: set[str] = set()
        quiet = 0
        while quiet < 2 and time.monotonic() < deadline:
            waiting = [
                job
                for owner in owners
                for job in all_jobs(self.table, owner)
                if job.state not in TERMINAL or job.check_at
            ]
            empty = not any(self.depth(name).total for name in settings.QUEUES)
            quiet = quiet + 1 if empty and not waiting else 0
            if empty:
                helped |= self._sweep([job for job in waiting if job.updated_at < now_ms() - _STUCK_MS])
            time.sleep(0.3)
        return len(helped)

    def _sweep(self, stuck: list[Job]) -> set[str]:
        """Let the sweeper look at these jobs now."""
        due = set()
        for job in stuck:
            with contextlib.suppress(Refused):
                self.store.look_again(job, check_at=1)
                due.add(job.job_id)
        if due:
            Sweeper(self.table, services.queues(), services.objects()).sweep()
        return {
            job.job_id
            for job in stuck
            if job.state is not State.PROCESSING and job.stage != Stage.AWAITING_UPLOAD
        }

    def tidy(self, owners: Collection[str]) -> None:
        """Do now what the stack's tidying jobs would do within minutes."""
        for owner in owners:
            for _ in tidying(self.table, services.objects(), owner):
                pass

    # --- What the audit asks ---------------------------------------------------------------------------------

    def depth(self, queue: str) -> Depth:
        """Return a queue's counts."""
        return services.queues().depth(queue)

    def dead_letters(self, queue: str) -> list[str]:
        """Return the bodies of the messages in a queue's dead-letter queue, which are hidden for a while."""
        bodies: dict[str, str] = {}
        while (
            messages := clients.sqs()
            .receive_message(
                QueueUrl=self.outputs.dead_letter_queues[queue],
                MaxNumberOfMessages=10,
                VisibilityTimeout=60,
                WaitTimeSeconds=0,
            )
            .get("Messages")
        ):
            bodies |= {message["MessageId"]: message["Body"] for message in messages}
        return list(bodies.values())

    def bury(self) -> None:
        """Empty the dead-letter queues."""
        for url in self.outputs.dead_letter_queues.values():
            clients.sqs().purge_queue(QueueUrl=url)

    def items(self) -> dict[Key, Item]:
        """Return every item of the table."""
        return all_items(self.table.name)

    def bodies(self) -> dict[str, bytes]:
        """Return every object of the bucket, but files that were uploaded."""
        return all_bodies(self.outputs.bucket, "texts/") | all_bodies(self.outputs.bucket, "search/")


def eventually_true(condition: Callable[[], Any], *, seconds: float) -> None:
    """Wait until a condition holds; raise TimeoutError."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds:g} s")
        time.sleep(0.05)


def _children(parent: psutil.Process) -> list[psutil.Process]:
    with contextlib.suppress(psutil.NoSuchProcess):
        return parent.children()
    return []


def _restore(environment: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)
