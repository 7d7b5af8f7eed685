"""Who works here: each worker process reports itself every few seconds as an item that expires.

On Lambda nobody does: there the platform knows its functions, and metrics tell what they do.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from chalicelib.aws.expressions import Delete, Key, Put
from chalicelib.aws.table import Table, query_all
from chalicelib.jobs.job import now_ms

# Between two reports, and how long after its last one a worker counts as alive, in seconds.
REPORT_SECONDS: Final = 5.0
ALIVE_SECONDS: Final = 15.0

_PARTITION: Final = "SYSTEM"
_PREFIX: Final = "WORKER#"
# A report of a worker that died is removed by the database after this, in seconds.
_TTL_SECONDS: Final = 3600


class Worker(msgspec.Struct, frozen=True, kw_only=True):
    """One worker as it last reported. Times are milliseconds since the epoch."""

    host: str
    pid: int
    # Queues it polls, the most urgent first.
    queues: tuple[str, ...]
    # Processes that run jobs: those at work, those with nothing to do.
    busy: int
    idle: int
    # Jobs whose message it has dealt with since it started.
    jobs_done: int
    # Resident memory of all its processes, bytes; shared pages count in each.
    memory_bytes: int
    started_at: int
    # When it reported.
    heartbeat: int

    @property
    def name(self) -> str:
        """Host and process id."""
        return f"{self.host}:{self.pid}"


def report(table: Table, worker: Worker) -> None:
    """Write a worker's report over its last one."""
    pk, sk = _key(worker)
    expires_at = worker.heartbeat // 1000 + _TTL_SECONDS
    fields: dict[str, Any] = msgspec.to_builtins(worker)
    table.write(Put(item={"pk": pk, "sk": sk, **fields, "expires_at": expires_at}))


def remove(table: Table, worker: Worker) -> None:
    """Forget a worker that stopped as it should."""
    table.write(Delete(key=_key(worker)))


def current(table: Table) -> list[Worker]:
    """Return the workers that are alive, by name."""
    oldest = now_ms() - round(ALIVE_SECONDS * 1000)
    items = query_all(table, ("pk", _PARTITION), sort=("sk", "begins_with", _PREFIX))
    reported = [msgspec.convert(item, Worker) for item in items]
    return [worker for worker in reported if worker.heartbeat >= oldest]


def _key(worker: Worker) -> Key:
    return (_PARTITION, f"{_PREFIX}{worker.name}")
