"""What this installation can do: each worker says so when it starts, `GET /health` tells it on."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

from chalicelib.aws.expressions import Update
from chalicelib.aws.table import Table
from chalicelib.ingest.formats import MEDIA, SCANS, UPLOADS
from chalicelib.jobs.job import now_ms

_PARTITION: Final = "SYSTEM"
_PREFIX: Final = "CAPABILITY#"

# What they are called.
TITLES: Final = {
    "text": "plain text",
    "pdf": "PDF files",
    "office": "office documents",
    "web": "web pages",
    "ocr": "text recognition",
    "speech": "speech recognition",
    "youtube": "films by link",
}
# All that the product offers, with what is said while no worker has reported it.
_SILENT: Final = "no worker that can do this has started yet"
KNOWN: Final[dict[str, str]] = dict.fromkeys(
    ("text", "pdf", "office", "web", "ocr", "speech", "youtube"), _SILENT
)
# What the function that works on a queue brings.
OFFERS: Final[dict[str, tuple[str, ...]]] = {
    UPLOADS: ("text", "pdf", "office", "web"),
    SCANS: ("ocr",),
    MEDIA: ("speech", "youtube"),
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
    item = table.get((_PARTITION, _PREFIX + name))
    return Capability(state=CapabilityState(item["state"]), cause=item["cause"]) if item else None


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
    return {name: (reported | silent)[name] for name in KNOWN}
