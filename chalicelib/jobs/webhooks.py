"""Webhooks: the end of a job, posted to an address of its owner's and signed. docs/webhooks.md says how to receive.

A delivery is a job of its own (task `deliver_webhook`): made once per end, because its id derives from that end;
posted at least once, under that id.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from typing import Final

import msgspec

from chalicelib.aws.expressions import Absent, Delete, Item, Key, Present, Update
from chalicelib.aws.table import ConditionFailed, Table
from chalicelib.errors import Unavailable
from chalicelib.jobs.envelope import job_envelope
from chalicelib.jobs.job import Job, waiting_job
from chalicelib.jobs.states import State

TASK: Final = "deliver_webhook"
QUEUE: Final = "low_priority"

# Headers of a delivery.
SIGNATURE: Final = "SyncBoard-Signature"
DELIVERY: Final = "SyncBoard-Delivery"
EVENT: Final = "SyncBoard-Event"

EVENTS: Final[Mapping[State, str]] = {
    State.SUCCESS: "job.succeeded",
    State.FAILURE: "job.failed",
    State.REVOKED: "job.revoked",
}

# A signature older (or newer) than this is refused: a copied delivery can't be replayed later.
TOLERANCE_SECONDS: Final = 300

_SECRET_BYTES: Final = 32
# Crockford's base 32, of which ULIDs are made; 10 characters of time, 16 of chance.
_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_TIME_CHARACTERS: Final = 10
_CHANCE_CHARACTERS: Final = 16


# --- Signatures ---------------------------------------------------------------------------------------------


def sign(secret: str, timestamp: int, delivery_id: str, body: bytes) -> str:
    """Return the value of `SyncBoard-Signature`: `t=<unix seconds>,v1=<hex HMAC-SHA256>`.

    Signed are time, delivery and body together: `<t>.<delivery id>.<body>`.
    """
    return f"t={timestamp},v1={_digest(secret, str(timestamp), delivery_id, body)}"


def verify(
    secret: str,
    header: str,
    delivery_id: str,
    body: bytes,
    *,
    now: float,
    tolerance: float = TOLERANCE_SECONDS,
) -> bool:
    """Tell whether `header` signs this body under this delivery id, no more than `tolerance` seconds from `now`.

    In constant time. Of several `v1` one must fit; unknown parts are passed over.
    """
    parts = [part.strip().partition("=") for part in header.split(",")]
    timestamp = next((value for name, _, value in parts if name == "t"), "")
    if not (timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= 12):
        return False
    if abs(now - int(timestamp)) > tolerance:
        return False
    expected = _digest(secret, timestamp, delivery_id, body).encode()
    given = [value.encode() for name, _, value in parts if name == "v1"]
    return any(hmac.compare_digest(expected, one) for one in given)


def _digest(secret: str, timestamp: str, delivery_id: str, body: bytes) -> str:
    return hmac.new(
        secret.encode(), f"{timestamp}.{delivery_id}.".encode() + body, hashlib.sha256
    ).hexdigest()


# --- Deliveries ---------------------------------------------------------------------------------------------


def delivery_job(job: Job, url: str) -> Job:
    """Build the waiting job that posts the end of `job` (as it stands, ended) to `url`.

    The same end and address give the same id, so it can be created once only; a failed job that was started over
    ends a second time, and that is another delivery. The body is fixed here: every try posts the same.
    """
    return waiting_job(
        delivery_id_of(job, url),
        owner=job.owner,
        task=TASK,
        queue=QUEUE,
        message="Waiting for a worker",
        dispatch=1,
        params={"url": url, "job_id": job.job_id, "event": EVENTS[job.state], "body": job_envelope(job)},
        filename=url,
    )


def delivery_id_of(job: Job, url: str) -> str:
    """Return the id of the delivery of this end of `job`: a ULID with the job's time, the rest a hash."""
    what = f"{job.job_id}\n{job.finished_at}\n{url}".encode()
    number = int.from_bytes(hashlib.sha256(what).digest()[: _CHANCE_CHARACTERS * 5 // 8])
    chance = "".join(_ALPHABET[number >> (5 * place) & 31] for place in reversed(range(_CHANCE_CHARACTERS)))
    return job.job_id[:_TIME_CHARACTERS] + chance


# --- An owner's webhook -------------------------------------------------------------------------------------


class Webhook(msgspec.Struct, frozen=True, kw_only=True):
    """Where an owner wants to be told, and what such messages are signed with."""

    # Address for all jobs that name none of their own; empty: only jobs that name one are told.
    url: str = ""
    # Known to the owner and to us.
    secret: str


class Webhooks:
    """The webhook of one owner."""

    def __init__(self, table: Table, owner: str) -> None:
        self.table = table
        self.key: Key = (f"OWNER#{owner}", "WEBHOOK")

    def get(self) -> Webhook | None:
        """Return the owner's webhook, or None."""
        item = self.table.get(self.key)
        return _read(item) if item else None

    def put(self, url: str) -> Webhook:
        """Set the address; the secret is made at the first call and kept at later ones. Raise Unavailable."""
        made = Update(key=self.key, set={"url": url, **_new_secret()}, when=(Absent("secret"),))
        kept = Update(key=self.key, set={"url": url}, when=(Present("secret"),))
        for update in (made, kept):
            try:
                return _read(self.table.write(update))
            except ConditionFailed:
                continue
        raise Unavailable("The webhook was deleted at this moment; try again.")

    def secret(self) -> str:
        """Return the owner's secret; made now if there is none, so that a job may name an address by itself."""
        there = self.table.get(self.key)
        if there is None:
            try:
                there = self.table.write(Update(key=self.key, set=_new_secret(), when=(Absent("secret"),)))
            except ConditionFailed as quicker:
                there = quicker.item or {}
        return _read(there).secret

    def delete(self) -> None:
        """Forget address and secret; the next secret is another one."""
        self.table.write(Delete(key=self.key))


def _new_secret() -> Item:
    return {"secret": secrets.token_urlsafe(_SECRET_BYTES)}


def _read(item: Item) -> Webhook:
    return Webhook(url=item.get("url", ""), secret=item["secret"])
