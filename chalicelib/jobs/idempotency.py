"""Idempotency: the same `Idempotency-Key` of the same owner within 24 hours names the same jobs.

The key claims a *seed*, and the ids of the request's jobs derive from it. A request that comes again derives the
same ids, finds the rows, and answers with them: nothing needs to be stored of the first answer, and a crash
between claim and answer does no harm.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable

from ulid import ULID

from chalicelib.aws.expressions import Below, Item, Key, Put, Update
from chalicelib.aws.table import ConditionFailed, Table
from chalicelib.errors import Conflict, InvalidRequest
from chalicelib.jobs.job import new_id, now_ms

_HOURS = 24
_KEY = re.compile(r"[\x21-\x7e]{1,200}")

NewId = Callable[[], str]


def claim(table: Table, owner: str, *, route: str, key: str | None, body: bytes) -> NewId:
    """Return the source of ids for a request: fresh ones without a key, derived ones with it.

    Raise InvalidRequest for a key that is none, Conflict where the key came with another body before.
    """
    if key is None:
        return new_id
    if not _KEY.fullmatch(key):
        raise InvalidRequest("Idempotency-Key is 1 to 200 printable ASCII characters without spaces.")
    item = _claim_item(owner, route, key, body)
    try:
        table.write(Put(item=item, new=True))
    except ConditionFailed as refusal:
        item = _renewed(table, item, refusal.item or {})
    return derived_ids(item["seed"])


def derived_ids(seed: str) -> NewId:
    """Return a source that gives the same sequence of ids for the same seed: its time, hashed randomness."""
    number = 0

    def next_id() -> str:
        nonlocal number
        number += 1
        return derived_id(seed, number)

    return next_id


def derived_id(seed: str, place: int | str) -> str:
    """Return the id that belongs to a place below `seed` (an id): of the seed's time, always the same one."""
    moment = ULID.from_str(seed.upper()).bytes[:6]
    random = hashlib.sha256(f"{seed}/{place}".encode()).digest()[:10]
    return str(ULID(moment + random)).lower()


def _claim_item(owner: str, route: str, key: str, body: bytes) -> Item:
    pk, sk = _item_key(owner, route, key)
    return {
        "pk": pk,
        "sk": sk,
        "seed": new_id(),
        "body": hashlib.sha256(body).hexdigest(),
        "expires_at": now_ms() // 1000 + _HOURS * 3600,
    }


def _item_key(owner: str, route: str, key: str) -> Key:
    return (f"OWNER#{owner}", "IDEMPOTENCY#" + hashlib.sha256(f"{route}\n{key}".encode()).hexdigest())


def _renewed(table: Table, mine: Item, there: Item) -> Item:
    """The key was used before: within its time it is that request's; after it (TTL runs late) it is ours."""
    now = now_ms() // 1000
    if there.get("expires_at", 0) < now:
        fields = {name: value for name, value in mine.items() if name not in ("pk", "sk")}
        try:
            return table.write(
                Update(key=(mine["pk"], mine["sk"]), set=fields, when=(Below("expires_at", now),))
            )
        except ConditionFailed as refusal:
            there = refusal.item or {}
    if there.get("body") != mine["body"]:
        raise Conflict("This Idempotency-Key came with another body before.")
    return there
