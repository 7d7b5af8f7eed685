"""Runs a worker as a process of its own: `python -m local.worker`."""

from __future__ import annotations

import argparse
import signal
import threading

from chalicelib.jobs.workchild import die_with_parent
from local.worker.worker import Options, Worker


def main() -> None:
    """Parse the options, work until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="syncboard worker", description="Work on jobs from the queues.")
    parser.add_argument("--queues", default=",".join(Options().queues), help="queues, the most urgent first")
    parser.add_argument("--concurrency", type=int, default=Options().concurrency, help="jobs at a time")
    parser.add_argument("--max-jobs-per-process", type=int, default=Options().max_jobs_per_process)
    parser.add_argument("--die-with-parent", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.die_with_parent:
        die_with_parent()
    worker = Worker(
        Options(
            queues=tuple(given.queues.split(",")),
            concurrency=given.concurrency,
            max_jobs_per_process=given.max_jobs_per_process,
        )
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        # In a thread: a handler must not take locks that the interrupted code may hold.
        signal.signal(number, lambda *_: threading.Thread(target=worker.stop).start())
    worker.run()


if __name__ == "__main__":
    main()
