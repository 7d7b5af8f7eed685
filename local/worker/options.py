"""What a worker's command line says, checked."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from typing import Final

import msgspec

from chalicelib.settings import QUEUES

# Queues that hold jobs; `intake` is every worker's, beside them.
JOB_QUEUES: Final = tuple(name for name in QUEUES if name != "intake")
_MOST_PROCESSES: Final = 256


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How to work."""

    # Queues to work on, the most urgent first.
    queues: tuple[str, ...] = ("uploads", "low_priority")
    # Processes at least and at most: jobs (or batches of light jobs) at a time.
    least: int = 2
    most: int = 2
    # A process is replaced after this many jobs; a batch of light jobs counts as one.
    max_jobs_per_process: int = 200
    # On a stop, jobs may go on for this long before they are given back.
    drain_seconds: float = 5.0
    # Process id of the parent, to end when it ends; None: live on.
    parent: int | None = None


def parse(arguments: Sequence[str]) -> Options:
    """Read the command line; print what is wrong and exit with 2 where it can't be worked with."""
    default = Options()
    parser = argparse.ArgumentParser(
        prog="syncboard worker",
        description="Work on jobs from the queues that the environment names, else of the stack that runs here.",
        epilog="--data FOLDER, or SYNCBOARD_DATA, names the folder of the stack that runs here (default .local).",
    )
    parser.add_argument(
        *("--queues", "-Q"),
        type=_queues,
        default=default.queues,
        help=f"queues, comma-separated, the most urgent first (default {','.join(default.queues)})",
    )
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--concurrency", "-c", type=_processes, help="jobs at a time (default 2)")
    size.add_argument(
        "--autoscale", type=_autoscale, metavar="MAX,MIN", help="jobs at a time: as many as the load needs"
    )
    parser.add_argument(
        "--max-jobs-per-process",
        type=_positive,
        default=default.max_jobs_per_process,
        help="replace a process after so many jobs (default %(default)s)",
    )
    parser.add_argument(
        "--drain-seconds",
        type=_seconds,
        default=default.drain_seconds,
        help="how long jobs may go on after SIGTERM before they are given back (default %(default)s)",
    )
    parser.add_argument(
        # Without an id: whoever is the parent now.
        "--die-with-parent",
        type=_positive,
        nargs="?",
        const=os.getppid(),
        help=argparse.SUPPRESS,
    )
    given = parser.parse_args(arguments)
    fixed = given.concurrency or default.least
    most, least = given.autoscale or (fixed, fixed)
    return Options(
        queues=given.queues,
        least=least,
        most=most,
        max_jobs_per_process=given.max_jobs_per_process,
        drain_seconds=given.drain_seconds,
        parent=given.die_with_parent,
    )


def _queues(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    unknown = [name for name in names if name not in JOB_QUEUES]
    if unknown or not names:
        raise argparse.ArgumentTypeError(
            f"there is no queue {', '.join(map(repr, unknown)) or repr(text)}; there are: {', '.join(JOB_QUEUES)}"
        )
    return names


def _positive(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def _processes(text: str) -> int:
    number = _positive(text)
    if number > _MOST_PROCESSES:
        raise argparse.ArgumentTypeError(f"{number} processes are more than the {_MOST_PROCESSES} allowed")
    return number


def _autoscale(text: str) -> tuple[int, int]:
    most_text, comma, least_text = text.partition(",")
    if not comma:
        raise argparse.ArgumentTypeError(f"{text!r} is not MAX,MIN, such as 8,1")
    most, least = _processes(most_text.strip()), _processes(least_text.strip())
    if most < least:
        raise argparse.ArgumentTypeError(f"the maximum comes first: {most} is less than the minimum {least}")
    return most, least


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 3600:  # NaN fails, too
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from 0 to 3600")
    return seconds
