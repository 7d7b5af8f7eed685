"""Let the emulator's database find a page of a large partition without looking at all of it.

MiniStack 1.5.33 sorts a partition for each query and tests each of its items: 80 ms at 10,000 items, where DynamoDB
takes the same time at any size. Here the sort keys of large partitions are kept in order, and a query of the forms
that the service uses (`chalicelib.aws.table`) is shown only the items that can be on its page; MiniStack does the
rest, as before. It is shown a table of its own for that: the true one stays as it is for whoever saves it meanwhile.

Runs inside the emulator's environment: imports nothing but the standard library and MiniStack.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right, insort
from collections import OrderedDict
from types import FunctionType, SimpleNamespace
from typing import Any, Final

# Smaller partitions are left to MiniStack, and the order of so many larger ones is kept.
_LARGE: Final = 64
_KEPT: Final = 256
_HIGHEST: Final = "\U0010ffff"
_FORM: Final = re.compile(
    r"(#\w+) = (:\w+)"
    r"(?: AND (?:begins_with\((#\w+), (:\w+)\)|(#\w+) (<=|>=) (:\w+)|(#\w+) BETWEEN (:\w+) AND (:\w+)))?"
)

Partition = dict[str, Any]
Table = dict[str, Any]


class Orders:
    """The sort keys of large partitions, in order."""

    def __init__(self) -> None:
        # By the partition's identity; the partition is held, so that it stays what it is.
        self._kept: OrderedDict[int, tuple[Partition, list[str]]] = OrderedDict()

    def of(self, partition: Partition) -> list[str]:
        """Return the sort keys of a partition in order."""
        known, order = self._kept.pop(id(partition), (None, []))
        if known is not partition or len(order) != len(partition):
            order = sorted(partition)
        self._kept[id(partition)] = (partition, order)
        if len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return order

    def added(self, partition: Partition, name: str) -> None:
        """Take note of an item that is new."""
        known, order = self._kept.get(id(partition), (None, []))
        if known is partition:
            insort(order, name)

    def removed(self, partition: Partition, name: str) -> None:
        """Take note of an item that is gone."""
        known, order = self._kept.get(id(partition), (None, []))
        if known is partition:
            place = bisect_left(order, name)
            if order[place : place + 1] == [name]:
                del order[place]


def narrowed(table: Table, data: dict[str, Any], orders: Orders) -> dict[str, Partition] | None:
    """Return the items that can be on a query's page, by partition and sort key; None: leave it as it is."""
    limit, form = data.get("Limit"), _FORM.fullmatch(data.get("KeyConditionExpression") or "")
    if form is None or not isinstance(limit, int) or data.get("IndexName") or data.get("FilterExpression"):
        return None
    names, values = data.get("ExpressionAttributeNames", {}), data.get("ExpressionAttributeValues", {})
    sort_names = {names.get(name) for name in form.group(3, 5, 8) if name}
    if names.get(form[1]) != table["pk_name"] or not sort_names <= {table["sk_name"]}:
        return None
    texts = [values.get(name, {}).get("S") for name in form.group(2, 4, 7, 9, 10) if name]
    start = data.get("ExclusiveStartKey")
    after: Any = (start.get(table["sk_name"]) or {}).get("S") if start else ""
    if not all(isinstance(text, str) for text in (*texts, after)):
        return None
    partition = table["items"].get(texts[0])
    if partition is None or len(partition) <= _LARGE:
        return None
    order = orders.of(partition)
    low, high = _bounds(order, form, texts[1:])
    # The item behind which the page begins stays: MiniStack leaves it out. One more tells that there is more.
    if data.get("ScanIndexForward", True):
        low = max(low, bisect_left(order, after)) if start else low
        chosen = order[low : min(high, low + limit + 2)]
    else:
        high = min(high, bisect_right(order, after)) if start else high
        chosen = order[max(low, high - limit - 2) : high]
    return {texts[0]: {name: partition[name] for name in chosen}}


def _bounds(order: list[str], form: re.Match[str], texts: list[str]) -> tuple[int, int]:
    """Return from where to where sort keys fit."""
    if form[4]:
        return bisect_left(order, texts[0]), bisect_right(order, texts[0] + _HIGHEST)
    if form[6] == "<=":
        return 0, bisect_right(order, texts[0])
    if form[6] == ">=":
        return bisect_left(order, texts[0]), len(order)
    if form[9]:
        return bisect_left(order, texts[0]), bisect_right(order, texts[1])
    return 0, len(order)


def keep_order() -> None:
    """Do it. Call it once the emulator is imported and before it serves."""
    from ministack.services import dynamodb

    orders = Orders()
    query: Any = dynamodb._query
    set_item, remove_item = dynamodb._set_item, dynamodb._remove_item

    def ordered_query(data: dict[str, Any]) -> Any:
        table = dynamodb._tables.get(dynamodb._normalize_table_name(data.get("TableName")))
        page = narrowed(table, data, orders) if table else None
        if table is None or page is None:
            return query(data)
        shown = SimpleNamespace(get=lambda _name: {**table, "items": page})
        return FunctionType(query.__code__, {**vars(dynamodb), "_tables": shown})(data)

    def noting_set(table: Table, pk: Any, sk: Any, item: Any) -> Any:
        old = set_item(table, pk, sk, item)
        if old is None:
            orders.added(table["items"][pk], sk)
        return old

    def noting_remove(table: Table, pk: Any, sk: Any) -> Any:
        partition = table["items"].get(pk)
        old = remove_item(table, pk, sk)
        if old is not None and partition is not None:
            orders.removed(partition, sk)
        return old

    dynamodb._query = ordered_query
    dynamodb._set_item, dynamodb._remove_item = noting_set, noting_remove
