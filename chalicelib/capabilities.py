"""What this installation can do: each worker says so when it starts, `GET /health` tells it on."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

from chalicelib import settings
from chalicelib.aws.expressions import Update
from chalicelib.aws.table import Table
from chalicelib.ingest.formats import MEDIA, SCANS, UPLOADS
from chalicelib.jobs.job import now_ms

_PARTITION: Final = "SYSTEM"
_PREFIX: Final = "CAPABILITY#"

# The queue of work on a whole library, and what its function can do.
ANALYSIS: Final = "analysis"
TOPICS: Final = "topics"

# What they are called.
TITLES: Final = {
    "text": "plain text",
    "pdf": "PDF files",
    "office": "office documents",
    "web": "web pages",
    "ocr": "text recognition",
    "speech": "speech recognition",
    "youtube": "films by link",
    TOPICS: "regrouping of topics",
}
# All that the product offers, with what is said while no worker has reported it.
_SILENT: Final = "no worker that can do this has started yet"
KNOWN: Final[dict[str, str]] = dict.fromkeys(
    ("text", "pdf", "office", "web", "ocr", "speech", "youtube", TOPICS), _SILENT
)
# What the function that works on a queue brings.
OFFERS: Final[dict[str, tuple[str, ...]]] = {
    UPLOADS: ("text", "pdf", "office", "web"),
    SCANS: ("ocr",),
    MEDIA: ("speech", "youtube"),
    ANALYSIS: (TOPICS,),
}


class CapabilityState(StrEnum):
    """Whether jobs that need it will run."""

    READY = "ready"
    PREPARING = "preparing"
    UNAVAILABLE = "unavailable"


class Capability(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that the installation can, will or can't do."""

    state: CapabilityState
    # Why it is not ready; empty when it is.
    cause: str = ""


def report(table: Table, name: str, capability: Capability) -> None:
    """Say how it stands with a capability, from now on."""
    table.write(
        Update(
            key=(_PARTITION, _PREFIX + name),
            set={"state": capability.state, "cause": capability.cause, "updated_at": now_ms()},
        )
    )


def report_queue(table: Table, queue: str, capability: Capability) -> None:
    """Say how it stands, from now on, with all that the function that works on `queue` can do."""
    for name in OFFERS.get(queue, ()):
        report(table, name, capability)


def find(table: Table, name: str) -> Capability | None:
    """Return how it stands with one capability; None where nobody has said."""
    deployed = _deployed(name)
    if deployed is not None and deployed.state is CapabilityState.READY:
        return deployed
    item = table.get((_PARTITION, _PREFIX + name))
    return Capability(state=CapabilityState(item["state"]), cause=item["cause"]) if item else deployed


def _deployed(name: str) -> Capability | None:
    """Return what the deployment says of a capability: a function is there before it first runs. None: nothing.

    Where there is no function, a worker on a machine of one's own may still do it; it says so itself.
    """
    served = settings.get().served_queues
    queue = next((queue for queue, names in OFFERS.items() if name in names), None)
    if not served or queue is None:
        return None
    if queue in served.split(","):
        return Capability(state=CapabilityState.READY)
    cause = f"no function was deployed for the queue {queue}, and no worker has started for it"
    return Capability(state=CapabilityState.UNAVAILABLE, cause=cause)


def current(table: Table) -> dict[str, Capability]:
    """Return every known capability as it stands."""
    page = table.query(("pk", _PARTITION), sort=("sk", "begins_with", _PREFIX))
    reported = {
        item["sk"].removeprefix(_PREFIX): Capability(
            state=CapabilityState(item["state"]), cause=item["cause"]
        )
        for item in page.items
    }
    silent = {
        name: Capability(state=CapabilityState.UNAVAILABLE, cause=cause)
        for name, cause in KNOWN.items()
        if name not in reported
    }
    deployed = {name: found for name in KNOWN if (found := _deployed(name)) is not None}
    ready = {name: found for name, found in deployed.items() if found.state is CapabilityState.READY}
    return {name: (silent | deployed | reported | ready)[name] for name in KNOWN}
