"""The DynamoDB table: conditional writes, transactions, pages.

`Table` is what the job engine and the library are written against; tests run the same code on
`MemoryTable` (tests/memory.py), which passes the same contract suite.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import msgspec
from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.aws import clients
from chalicelib.aws.expressions import (
    Act,
    Item,
    Key,
    Put,
    Update,
    Write,
    decode_item,
    encode,
    encode_item,
    encode_key,
    request,
)
from chalicelib.errors import Unavailable

# DynamoDB's own limits of one BatchGetItem and one BatchWriteItem.
_BATCH_GET = 100
_BATCH_WRITE = 25
_BATCH_TRIES = 6


class ConditionFailed(Exception):
    """A conditional write was refused. `item` is what is there instead (None: nothing)."""

    def __init__(self, item: Item | None) -> None:
        super().__init__("condition failed")
        self.item = item


class TransactionFailed(Exception):
    """A transaction wrote nothing. `failed` holds the positions of the writes whose conditions did not hold.

    Empty: the transaction met another one (a conflict) and may simply be tried again.
    """

    def __init__(self, failed: frozenset[int]) -> None:
        super().__init__(f"transaction failed at {sorted(failed)}")
        self.failed = failed


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """One page of a query."""

    items: list[Item]
    # Position to go on from, or None at the end.
    next_key: Item | None


class Table(Protocol):
    """What the engine needs of a database."""

    def get(self, key: Key, *, consistent: bool = True) -> Item | None:
        """Return the item, or None."""

    def get_many(self, keys: Sequence[Key], *, consistent: bool = False) -> dict[Key, Item]:
        """Return those items that exist; what was written a moment ago may be missing unless `consistent`."""

    def write(self, write: Write) -> Item:
        """Do one write; return the item as it is now. Raise ConditionFailed."""

    def put_many(self, items: Sequence[Item]) -> None:
        """Write whole items (of different keys), unconditionally and not as one. Raise Unavailable."""

    def put_new(self, items: Sequence[Item]) -> set[int]:
        """Write whole items (of different keys) where none is; return the positions of those that were not written.

        Each by itself, and together in a request for 25. Raise Unavailable: some may be written.
        """

    def transact(self, writes: Sequence[Act]) -> None:
        """Do all writes or none. Raise TransactionFailed."""

    def query(
        self,
        partition: tuple[str, Any],
        *,
        index: str | None = None,
        sort: tuple[str, str, Any] | None = None,
        limit: int = 100,
        forward: bool = True,
        start: Item | None = None,
    ) -> Page:
        """Return items of one partition `(attribute, value)` in sort order.

        `sort` is `(attribute, "begins_with" | "<=" | ">=", value)`, or `(attribute, "between", (low, high))` with
        both ends included and low ≤ high.
        """


@contextmanager
def _aws_errors() -> Iterator[None]:
    """Turn what the network or DynamoDB throws into our tree; conditions pass through."""
    try:
        yield
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code == "ConditionalCheckFailedException":
            item: Any = error.response.get("Item")
            raise ConditionFailed(decode_item(item) if item else None) from None
        if code == "TransactionCanceledException":
            raise _transaction_failed(error) from None
        if code == "TransactionConflictException":
            raise Unavailable("The database was busy with the same item.") from error
        if code == "ValidationException":
            raise
        raise Unavailable(f"The database answered {code}.") from error
    except BotoCoreError as error:
        raise Unavailable("The database does not answer.") from error


def _transaction_failed(error: ClientError) -> Exception:
    reasons: list[dict[str, Any]] = error.response.get("CancellationReasons", [])  # type: ignore[assignment]
    codes = [reason.get("Code", "None") for reason in reasons]
    failed = frozenset(i for i, code in enumerate(codes) if code == "ConditionalCheckFailed")
    if failed or "TransactionConflict" in codes:
        return TransactionFailed(failed)
    named = sorted({code for code in codes if code != "None"})
    return Unavailable(f"The database refused a transaction ({', '.join(named) or 'no reason given'}).")


# How a sort condition is written, and the placeholders of its bounds.
_SORTS = {"begins_with": "begins_with(#s, :s)", "between": "#s BETWEEN :s AND :t"}
_BOUNDS = (":s", ":t")


class DynamoTable:
    """`Table` on DynamoDB."""

    def __init__(self, name: str) -> None:
        self.name = name

    def get(self, key: Key, *, consistent: bool = True) -> Item | None:
        """See `Table.get`."""
        with _aws_errors():
            answer = clients.dynamodb().get_item(
                TableName=self.name, Key=encode_key(key), ConsistentRead=consistent
            )
        return decode_item(answer["Item"]) if "Item" in answer else None

    def get_many(self, keys: Sequence[Key], *, consistent: bool = False) -> dict[Key, Item]:
        """See `Table.get_many`. Throttled keys are asked for again with backoff."""
        found: dict[Key, Item] = {}
        wanted = list(dict.fromkeys(keys))
        for start in range(0, len(wanted), _BATCH_GET):
            raw_keys = [encode_key(key) for key in wanted[start : start + _BATCH_GET]]
            chunk: Any = {self.name: {"Keys": raw_keys, "ConsistentRead": consistent}}
            for attempt in range(_BATCH_TRIES):
                with _aws_errors():
                    answer = clients.dynamodb().batch_get_item(RequestItems=chunk)
                for raw in answer["Responses"].get(self.name, []):
                    item = decode_item(raw)
                    found[item["pk"], item["sk"]] = item
                chunk = answer.get("UnprocessedKeys")
                if not chunk:
                    break
                time.sleep(0.05 * 2**attempt)
            else:
                raise Unavailable("The database throttles reads.")
        return found

    def write(self, write: Write) -> Item:
        """See `Table.write`."""
        _, parameters = request(write, self.name)
        parameters["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
        client = clients.dynamodb()
        with _aws_errors():
            if isinstance(write, Update):
                answer = client.update_item(**parameters, ReturnValues="ALL_NEW")
                return decode_item(answer["Attributes"])
            if isinstance(write, Put):
                client.put_item(**parameters)
                return write.item
            client.delete_item(**parameters)
            return {}

    def put_many(self, items: Sequence[Item]) -> None:
        """See `Table.put_many`. Throttled items are sent again with backoff."""
        for start in range(0, len(items), _BATCH_WRITE):
            left: Any = {
                self.name: [
                    {"PutRequest": {"Item": encode_item(item)}}
                    for item in items[start : start + _BATCH_WRITE]
                ]
            }
            for attempt in range(_BATCH_TRIES):
                with _aws_errors():
                    left = clients.dynamodb().batch_write_item(RequestItems=left).get("UnprocessedItems")
                if not left:
                    break
                time.sleep(0.05 * 2**attempt)
            else:
                raise Unavailable("The database throttles writes.")

    def put_new(self, items: Sequence[Item]) -> set[int]:
        """See `Table.put_new`. In PartiQL: the API's own batches take no conditions, and an INSERT is one.

        An UPDATE in PartiQL makes no item, so what is there already is left to the caller.
        """
        refused: set[int] = set()
        for start in range(0, len(items), _BATCH_WRITE):
            statements: Any = [_insert(self.name, item) for item in items[start : start + _BATCH_WRITE]]
            with _aws_errors():
                answers = clients.dynamodb().batch_execute_statement(Statements=statements)["Responses"]
            refused |= {start + place for place, answer in enumerate(answers) if "Error" in answer}
        return refused

    def transact(self, writes: Sequence[Act]) -> None:
        """See `Table.transact`."""
        actions: Any = [
            {operation: parameters} for operation, parameters in (request(w, self.name) for w in writes)
        ]
        with _aws_errors():
            clients.dynamodb().transact_write_items(TransactItems=actions)

    def query(
        self,
        partition: tuple[str, Any],
        *,
        index: str | None = None,
        sort: tuple[str, str, Any] | None = None,
        limit: int = 100,
        forward: bool = True,
        start: Item | None = None,
    ) -> Page:
        """See `Table.query`."""
        condition, names, values = "#p = :p", {"#p": partition[0]}, {":p": encode(partition[1])}
        if sort:
            names["#s"] = sort[0]
            bounds = sort[2] if sort[1] == "between" else (sort[2],)
            values |= {
                placeholder: encode(bound) for placeholder, bound in zip(_BOUNDS, bounds, strict=False)
            }
            condition += " AND " + _SORTS.get(sort[1], f"#s {sort[1]} :s")
        parameters: dict[str, Any] = {
            "TableName": self.name,
            "KeyConditionExpression": condition,
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": values,
            "Limit": limit,
            "ScanIndexForward": forward,
        }
        if index:
            parameters["IndexName"] = index
        else:
            parameters["ConsistentRead"] = True
        if start:
            parameters["ExclusiveStartKey"] = {name: encode(value) for name, value in start.items()}
        with _aws_errors():
            answer = clients.dynamodb().query(**parameters)
        last = answer.get("LastEvaluatedKey")
        return Page(
            items=[decode_item(raw) for raw in answer["Items"]], next_key=decode_item(last) if last else None
        )


def _insert(table: str, item: Item) -> dict[str, Any]:
    """Return the statement that makes an item where none is. Names of attributes stand in it: they are ours."""
    fields = ", ".join(f"'{name}': ?" for name in item)
    return {
        "Statement": f'INSERT INTO "{table}" VALUE {{{fields}}}',
        "Parameters": [encode(value) for value in item.values()],
    }


def query_all(table: Table, partition: tuple[str, Any], **options: Any) -> Iterator[Item]:
    """Yield every item of a partition, page by page."""
    start: Item | None = None
    while True:
        page = table.query(partition, start=start, **options)
        yield from page.items
        if page.next_key is None:
            return
        start = page.next_key
