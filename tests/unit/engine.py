"""A job engine in memory, for tests that drive it step by step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from chalicelib.jobs import messages
from chalicelib.jobs.consumer import Consumer
from chalicelib.jobs.job import Job, check_shard, new_id, now_ms
from chalicelib.jobs.run import Progress
from chalicelib.jobs.states import Stage, State
from chalicelib.jobs.store import JobStore
from chalicelib.jobs.supervisor import Limits, Order
from chalicelib.jobs.transitions import success
from chalicelib.jobs.workchild import Outcome
from tests.memory import MemoryObjects, MemoryQueues, MemoryTable

Work = Callable[[Job, Callable[[Progress | None], Order]], Outcome]


class Clock:
    """Seconds that pass only when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Engine:
    """Table, queues and one consumer whose supervision is played by a function."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.table = MemoryTable()
        self.queues = MemoryQueues(self.clock)
        self.store = JobStore(self.table)
        self.objects = MemoryObjects()
        self.consumer = Consumer(self.table, self.queues, self.objects, worker="w1")  # type: ignore[arg-type]
        self.runs: list[Job] = []
        self.work: Work = lambda job, _beat: self.publish(job)
        self.consumer.supervisor.run = self._supervise  # type: ignore[method-assign,assignment]

    def _supervise(self, job: Job, _limits: Limits, heartbeat: Callable[[Progress | None], Order]) -> Outcome:
        self.runs.append(job)
        return self.work(job, heartbeat)

    def publish(self, job: Job) -> Outcome:
        """End a job well, as its task would."""
        self.table.transact([success(job, result={"doc_id": "d"}, warnings=[])])
        return Outcome()

    def job(self, **changes: Any) -> Job:
        """Write a waiting job's row."""
        job_id = new_id()
        now = now_ms()
        job = Job(
            job_id=job_id,
            owner="ann",
            task="process_file_upload",
            queue="uploads",
            state=State.PENDING,
            stage=Stage.QUEUED,
            dispatch=1,
            filename="notes.md",
            created_at=now,
            updated_at=now,
            check_at=now + 1000,
            check_shard=check_shard(job_id),
        )
        job = msgspec.structs.replace(job, **changes)
        self.store.create(job)
        return job

    def send(self, job: Job, dispatch: int | None = None) -> None:
        """Send a job's message, or one with another number."""
        call = messages.CallToWork(job_id=job.job_id, dispatch=job.dispatch if dispatch is None else dispatch)
        self.queues.send("uploads", messages.encode(call))

    def deliver(self, *, seconds_left: float = 600.0, queue: str = "uploads") -> list[str]:
        """Receive and consume every visible message, delete as the platform does; return the ids kept."""
        received = self.queues.receive(queue, limit=100)
        keep = self.consumer.consume(received, seconds_left=seconds_left)
        for message in received:
            if message.message_id not in keep:
                self.queues.delete(queue, message.receipt)
        return keep

    def row(self, job: Job) -> Job:
        """Return a job's row as it is."""
        row = self.store.find(job.job_id)
        assert row is not None
        return row

    def left(self) -> int:
        """Return how many messages there are, visible or not."""
        return self.queues.depth("uploads").total

    def later(self, seconds: float) -> None:
        """Let time pass for the queue."""
        self.clock.now += seconds


def failing(type_: str, *, retryable: bool, **more: Any) -> Work:
    """Return work that ends with an error."""
    return lambda _job, _beat: Outcome(
        error={"type": type_, "message": "It broke.", "retryable": retryable, **more}
    )
