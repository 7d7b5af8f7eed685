"""The task `noop`: nothing but the way through the engine, for probes and benchmarks."""

from __future__ import annotations

from chalicelib.jobs.run import Publication, Run


def noop(run: Run) -> None:
    """Publish an empty success that hands back what the caller sent along as `echo`, if anything."""
    run.publish(lambda: Publication(result={"echo": run.job.params.get("echo")}))
