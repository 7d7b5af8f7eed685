"""Jobs that wait for something that is still being installed say so, instead of PENDING for ever."""

from __future__ import annotations

import time

import msgspec

from chalicelib import capabilities, services
from chalicelib.capabilities import ANALYSIS, OFFERS, Capability, CapabilityState
from chalicelib.ingest.formats import MEDIA, SCANS
from chalicelib.jobs.job import Job
from chalicelib.jobs.states import Stage, State

# How long one look is good for: a client polls every second or so, and an installation takes minutes.
_LOOK_SECONDS = 2.0
# The queues whose libraries may come later than the service.
_LATER = (SCANS, MEDIA, ANALYSIS)

_seen: dict[str, tuple[float, Capability | None]] = {}


def as_shown(job: Job) -> Job:
    """Return `job` as its owner should see it: with the cause where what it waits for is not there yet."""
    if job.queue not in _LATER or job.run or job.state not in (State.PENDING, State.RETRY, State.PROCESSING):
        return job
    name = OFFERS[job.queue][0]
    found = _look(name)
    if found is None or found.state is CapabilityState.READY:
        return job
    message = f"Waiting for {capabilities.TITLES[name]}: {found.cause}"
    return msgspec.structs.replace(job, stage=Stage.PREPARING, message=message)


def _look(name: str) -> Capability | None:
    now = time.monotonic()
    when, found = _seen.get(name, (float("-inf"), None))
    if now - when > _LOOK_SECONDS:
        found = capabilities.find(services.table(), name)
        _seen[name] = (now, found)
    return found
