"""What a job costs on AWS, in dollars, on the job itself: counted requests and GB-seconds by a price table.

The requests of the run are counted as they are made; those around it (submission, queue, take, end) are the same
for every job and stand here as a table, which a test compares with what is really sent. Status polls are the
caller's and not included.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from chalicelib import settings
from chalicelib.aws import clients
from chalicelib.aws.expressions import Act, request
from chalicelib.aws.objects import IN_ROWS
from chalicelib.jobs import search
from chalicelib.jobs.job import Job, now_ms

_MILLION: Final = 1_000_000


class Prices(msgspec.Struct, frozen=True, kw_only=True):
    """Dollars, us-east-1, on-demand (aws.amazon.com, 2026). `SYNCBOARD_PRICES` overrides any as JSON."""

    # Per million requests.
    api_request: float = 3.50
    lambda_request: float = 0.20
    sqs_request: float = 0.40
    table_write: float = 0.625
    table_read: float = 0.125
    s3_put: float = 5.00
    s3_get: float = 0.40
    # Per million tokens of Bedrock's default model (Nova Lite); another model has other prices.
    ai_input_token: float = 0.06
    ai_output_token: float = 0.24
    # Per GB-second of Lambda on x86.
    gb_second: float = 0.0000166667


# Around every run: the API request; enter the window, put the row and its two index entries; send, receive, hide,
# delete; take; read the row and leave the window at the end, drop the sweeper's index entry.
AROUND: Final = Counter(
    {"api_request": 1, "lambda_request": 2, "table_write": 7, "table_read": 1, "sqs_request": 4}
)

# The same for a light job, which is taken in a transaction …
AROUND_LIGHT: Final = Counter(
    {"api_request": 1, "lambda_request": 1, "table_write": 7, "table_read": 1, "sqs_request": 2}
)
# … and what it shares with those that come and end together: the call, receive and delete, leaving the window, the
# counters (they are four: most batches write all).
SHARED: Final = Counter({"lambda_request": 1, "sqs_request": 2, "table_write": 9})
# What publishing takes for itself: the row and the counter, in a transaction; the row alone where that is shared.
_PUBLISHING: Final = 4
_PUBLISHING_LIGHT: Final = 2

_KINDS: Final = {
    ("dynamodb", "GetItem"): "table_read",
    ("dynamodb", "Query"): "table_read",
    ("dynamodb", "PutItem"): "table_write",
    ("dynamodb", "UpdateItem"): "table_write",
    ("dynamodb", "DeleteItem"): "table_write",
    ("s3", "PutObject"): "s3_put",
    ("s3", "ListObjectsV2"): "s3_put",
    ("s3", "GetObject"): "s3_get",
    ("s3", "HeadObject"): "s3_get",
}


def units(service: str, operation: str, parameters: dict[str, Any]) -> Counter[str]:
    """Return what one call is charged as, by the names of `Prices`.

    An item that is written is taken for as large as what is sent of it, one that is read for small (4 KB).
    """
    if operation == "TransactWriteItems":
        acts = [act for entry in parameters["TransactItems"] for act in entry.values()]
        return Counter({"table_write": 2 * sum(map(_kilobytes, acts))})
    if operation == "BatchWriteItem":
        return Counter({"table_write": sum(map(len, parameters["RequestItems"].values()))})
    if operation == "BatchExecuteStatement":  # inserts, here
        return Counter({"table_write": len(parameters["Statements"])})
    if operation == "BatchGetItem":
        return Counter({"table_read": sum(len(keys["Keys"]) for keys in parameters["RequestItems"].values())})
    if service == "sqs":
        return Counter({"sqs_request": 1})
    kind = _KINDS.get((service, operation))
    if kind == "table_write":
        return Counter({kind: _kilobytes(parameters)})
    return Counter({kind: 1} if kind else {})


def _kilobytes(parameters: dict[str, Any]) -> int:
    """Return the KB, begun ones too, of the item or the values that a write sends; at least 1."""
    sent = parameters.get("Item") or parameters.get("ExpressionAttributeValues") or {}
    return max(1, -(-_bytes(sent) // 1024))


def _bytes(value: Any) -> int:
    """Return about the bytes that an encoded value has by DynamoDB's rules."""
    if isinstance(value, dict):
        return sum(len(name) + _bytes(entry) for name, entry in value.items())
    if isinstance(value, list):
        return sum(map(_bytes, value))
    return len(value) if isinstance(value, str | bytes) else 1


class Meter:
    """Counts this process's calls to AWS from `start` on."""

    def __init__(self) -> None:
        self.made: Counter[str] = Counter()

    def start(self) -> None:
        """Begin anew."""
        self.made.clear()

    def count(self, service: str, operation: str, parameters: dict[str, Any]) -> None:
        """Take note of one call; registered with every client."""
        self.made += units(service, operation, parameters)

    def add(self, **units: int) -> None:
        """Take note of what a call was charged as, where only its answer tells."""
        self.made += Counter(units)


METER: Final = Meter()
clients.on_call(METER.count)


def of_run(job: Job, *, together: int = 0, writes: Sequence[Act] = ()) -> dict[str, Any]:
    """Return what `job` has cost by now: requests by kind, GB-seconds, dollars. Its own publication included.

    `together`: so many light jobs, this one included, share what they need and the time that they take.
    `writes`: what is published with its end, in the same transaction.
    """
    requests: dict[str, float] = dict(METER.made + _submitted(job))
    published = sum(_kilobytes(request(write, "")[1]) for write in writes)
    requests["table_write"] = requests.get("table_write", 0) + 2 * published
    for kind, number in _around(together).items():
        requests[kind] = round(requests.get(kind, 0) + number, 2)
    seconds = max(0, now_ms() - job.run_since) / 1000
    gb_seconds = seconds * settings.get().function_memory_mb / 1024 / max(1, together)
    prices = _prices()
    dollars = gb_seconds * prices.gb_second
    dollars += sum(number * getattr(prices, kind) for kind, number in requests.items()) / _MILLION
    return {
        "requests": dict(sorted(requests.items())),
        "gb_seconds": round(gb_seconds, 6),
        "dollars": round(dollars, 9),
    }


def _submitted(job: Job) -> Counter[str]:
    """Return what its submission wrote beside its row: the words by which it is found, and its file."""
    source = str(job.params.get("source", ""))
    small = source.startswith(IN_ROWS)
    return Counter(table_write=len(search.entries(job)) + small, s3_put=int(bool(source) and not small))


def _around(together: int) -> dict[str, float]:
    """Return the requests that are not counted as they are made."""
    if not together:
        return dict(AROUND + Counter({"table_write": _PUBLISHING}))
    alone = AROUND_LIGHT + Counter({"table_write": _PUBLISHING_LIGHT})
    return {kind: number + SHARED[kind] / together for kind, number in alone.items()}


def _prices() -> Prices:
    overrides = settings.get().prices
    return msgspec.json.decode(overrides, type=Prices) if overrides else Prices()
