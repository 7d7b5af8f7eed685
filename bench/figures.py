"""Arithmetic and process control of the benchmarks. Standard library only: every environment imports it."""

from __future__ import annotations

import os
import signal
import statistics
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple


class Percentiles(NamedTuple):
    """Of one series, in its own unit."""

    p50: float
    p95: float
    p99: float


def percentiles(values: Sequence[float]) -> Percentiles:
    """Return the percentiles of at least two values."""
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return Percentiles(p50=cuts[49], p95=cuts[94], p99=cuts[98])


def family(pid: int) -> list[int]:
    """Return a process and all its descendants, as /proc names them."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    threads = Path(f"/proc/{pid}/task").glob("*/children")
    found = [pid]
    for file in threads if children.exists() else ():
        found += [descendant for child in file.read_text().split() for descendant in family(int(child))]
    return found


def cpu_seconds(root: int | None = None) -> float:
    """Return the processor time spent so far by a process (by default, this one's parent) and all its descendants."""
    total = 0.0
    for pid in family(os.getppid() if root is None else root):
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        total += int(fields[11]) + int(fields[12])  # user and system time, in ticks
    return total / os.sysconf("SC_CLK_TCK")


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """Stop a worker with all its processes meanwhile, so that a backlog builds up."""
    members = family(pid)
    for member in members:
        os.kill(member, signal.SIGSTOP)
    try:
        yield
    finally:
        for member in members:
            os.kill(member, signal.SIGCONT)


def pss_mb(pids: Sequence[int]) -> float:
    """Return the proportional set size of processes in MB: shared pages are divided among their users."""
    total = 0
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except (FileNotFoundError, ProcessLookupError):
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024


def memory_mb(field: str) -> float:
    """Return a figure of this process's memory: VmRSS (now) or VmHWM (the most since `reset_peak`)."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


def reset_peak() -> None:
    """Let VmHWM begin anew at what is used now (proc(5))."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
