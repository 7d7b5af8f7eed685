"""Let the emulator's database find a page of a large partition without looking at all of it.

MiniStack 1.5.33 sorts a partition for each query, of a table or of an index, and tests each of its items: 80 ms at
10,000 items, where DynamoDB takes the same time at any size. Here the keys of large partitions are kept in order, and
a query of the forms that the service uses (`chalicelib.aws.table`) is shown only the items that can be on its page;
MiniStack does the rest, as before. It is shown a table of its own for that: the true one stays as it is for whoever
saves it meanwhile. An order that is not of as many items as its partition is made anew, and so is one of a partition
that was replaced.

Runs inside the emulator's environment: imports nothing but the standard library and MiniStack.
"""

from __future__ import annotations

import logging
import re
from bisect import bisect_left, bisect_right, insort
from collections import OrderedDict
from collections.abc import Callable, Iterable
from decimal import Decimal
from operator import itemgetter
from types import FunctionType, SimpleNamespace
from typing import Any, Final, NamedTuple

# Smaller partitions are left to MiniStack, and the order of so many larger ones is kept.
_LARGE: Final = 64
_KEPT: Final = 256
_HIGHEST: Final = "\U0010ffff"
_FORM: Final = re.compile(
    r"(#\w+) = (:\w+)"
    r"(?: AND (?:begins_with\((#\w+), (:\w+)\)|(#\w+) (<=|>=) (:\w+)|(#\w+) BETWEEN (:\w+) AND (:\w+)))?"
)
# Where MiniStack keeps, in a table, the keys of an index's items: by index, by partition.
_MEMBERS: Final = "_index_members"
# What else of MiniStack's is used or replaced here.
_NEEDED: Final = (
    *("_index_key_schemas", "_index_members", "_index_partition", "_normalize_table_name"),
    *("_query", "_remove_item", "_set_item", "_tables"),
)

# By sort key, or, of an index, by the keys of the items.
Partition = dict[Any, Any]
Table = dict[str, Any]
# An item of an index: its sort key there (text or a number), partition and sort key in the table.
Entry = tuple[Any, str, str]

log = logging.getLogger("syncboard.emulator")


class Orders:
    """The names of the items of large partitions, in order."""

    def __init__(self) -> None:
        # By the partition's identity; the partition is held, so that it stays what it is.
        self._kept: OrderedDict[int, tuple[Partition, list[Any]]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def of(self, partition: Partition, names: Callable[[], Iterable[Any]]) -> list[Any]:
        """Return the names of a partition's items in order; `names` gives them in any."""
        known, order = self._kept.pop(id(partition), (None, []))
        if known is not partition or len(order) != len(partition):
            order = sorted(names())
        self._kept[id(partition)] = (partition, order)
        if len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return order

    def added(self, partition: Partition, name: Any) -> None:
        """Take note of an item that is new."""
        known, order = self._kept.get(id(partition), (None, []))
        if known is partition:
            insort(order, name)

    def removed(self, partition: Partition, name: Any) -> None:
        """Take note of an item that is gone."""
        known, order = self._kept.get(id(partition), (None, []))
        if known is partition:
            place = bisect_left(order, name)
            if order[place : place + 1] == [name]:
                del order[place]
            else:
                self._kept.pop(id(partition), None)


# --- Queries ------------------------------------------------------------------------------------------------


class Asked(NamedTuple):
    """What a query asks for."""

    partition: str
    # Its condition, and the bounds of the sort key in it.
    form: re.Match[str]
    bounds: list[Any]
    # The name of the item behind which the page begins.
    after: Any
    limit: int
    forward: bool

    def chosen(self, order: list[Any], key: Callable[[Any], Any] | None = None) -> list[Any]:
        """Return the names that can be on the page; `key` takes the sort key out of one."""
        low, high = _range(order, self.form, self.bounds, key)
        # The item behind which the page begins stays: MiniStack leaves it out. One more tells that there is more.
        if self.forward:
            low = low if self.after is None else max(low, bisect_left(order, self.after))
            return order[low : min(high, low + self.limit + 2)]
        high = high if self.after is None else min(high, bisect_right(order, self.after))
        return order[max(low, high - self.limit - 2) : high]


def _range(
    order: list[Any], form: re.Match[str], bounds: list[Any], key: Callable[[Any], Any] | None
) -> tuple[int, int]:
    """Return from where to where sort keys fit."""
    if form[4]:
        return bisect_left(order, bounds[0], key=key), bisect_right(order, bounds[0] + _HIGHEST, key=key)
    if form[6] == "<=":
        return 0, bisect_right(order, bounds[0], key=key)
    if form[6] == ">=":
        return bisect_left(order, bounds[0], key=key), len(order)
    if form[9]:
        return bisect_left(order, bounds[0], key=key), bisect_right(order, bounds[1], key=key)
    return 0, len(order)


def _asked(data: dict[str, Any], names: list[str], kind: str, cursor: list[str]) -> Asked | None:
    """Read a query by the names of partition and sort key, the latter's type and the names of what orders items.

    None: it is none of those forms, or not a valid one.
    """
    limit, form = data.get("Limit"), _FORM.fullmatch(data.get("KeyConditionExpression") or "")
    if form is None or not isinstance(limit, int) or data.get("FilterExpression"):
        return None
    aliases, values = data.get("ExpressionAttributeNames", {}), data.get("ExpressionAttributeValues", {})
    sort_names = {aliases.get(name) for name in form.group(3, 5, 8) if name}
    if aliases.get(form[1]) != names[0] or not sort_names <= {names[1]}:
        return None
    start = data.get("ExclusiveStartKey")
    try:
        partition = _value(values[form[2]], "S")
        bounds = [_value(values[name], kind) for name in form.group(4, 7, 9, 10) if name]
        after = (
            tuple(_value(start[name], kind if name == names[1] else "S") for name in cursor) if start else ()
        )
        if form[4] and kind != "S":
            return None
    except (KeyError, TypeError, ArithmeticError):
        return None
    place = after if len(after) > 1 else next(iter(after), None)
    return Asked(partition, form, bounds, place, limit, data.get("ScanIndexForward", True))


def _value(attribute: Any, kind: str) -> Any:
    """Return an attribute's value as it is ordered; raise KeyError, TypeError or ArithmeticError."""
    value = attribute[kind]
    if not isinstance(value, str):
        raise TypeError(kind)
    return Decimal(value) if kind == "N" else value


def narrowed(table: Table, data: dict[str, Any], orders: Orders) -> Table | None:
    """Return a table of the items that can be on the page of a query of it; None: leave it as it is."""
    asked = _asked(data, [table["pk_name"], table["sk_name"]], "S", [table["sk_name"]])
    partition = table["items"].get(asked.partition) if asked else None
    if asked is None or partition is None or len(partition) <= _LARGE:
        return None
    chosen = asked.chosen(orders.of(partition, lambda: partition))
    return {**table, "items": {asked.partition: {name: partition[name] for name in chosen}}}


# --- Indexes ------------------------------------------------------------------------------------------------


def narrowed_index(table: Table, data: dict[str, Any], orders: Orders, members: Table) -> Table | None:
    """Return a table of the items that can be on the page of a query of an index; None: leave it as it is."""
    index = data["IndexName"]
    keys = _index_keys(table, index)
    if keys is None:
        return None
    sort_name, kind = keys[1], _type(table, keys[1])
    asked = _asked(data, keys, kind, [sort_name, table["pk_name"], table["sk_name"]])
    partition = members.get(index, {}).get(asked.partition) if asked else None
    if asked is None or partition is None or len(partition) <= _LARGE:
        return None
    rows = table["items"]
    shown: dict[str, dict[str, Any]] = {}
    try:
        order = orders.of(
            partition, lambda: [(_value(rows[pk][sk][sort_name], kind), pk, sk) for pk, sk in list(partition)]
        )
        chosen = [(pk, sk) for _, pk, sk in asked.chosen(order, itemgetter(0))]
        for pk, sk in chosen:
            shown.setdefault(pk, {})[sk] = rows[pk][sk]
    except (KeyError, TypeError, ArithmeticError):
        return None  # an item that an index can't have, or one that expired this moment
    return {**table, "items": shown, _MEMBERS: {index: {asked.partition: dict.fromkeys(chosen)}}}


def _index_keys(table: Table, index: str) -> list[str] | None:
    """Return the names of an index's partition and sort key; None for one whose order is not known here."""
    schemas = [
        found["KeySchema"] for found in table.get("GlobalSecondaryIndexes", []) if found["IndexName"] == index
    ]
    if len(schemas) != 1 or [key["KeyType"] for key in schemas[0]] != ["HASH", "RANGE"]:
        return None
    names = [str(key["AttributeName"]) for key in schemas[0]]
    own = [table["pk_name"], table["sk_name"]]
    texts = all(name and _type(table, name) == "S" for name in (names[0], *own))
    return names if texts and names[1] not in own and _type(table, names[1]) in ("S", "N") else None


def _type(table: Table, name: str) -> str:
    return next(
        (str(one["AttributeType"]) for one in table["AttributeDefinitions"] if one["AttributeName"] == name),
        "",
    )


# --- The emulator -------------------------------------------------------------------------------------------


def keep_order() -> None:
    """Do it. Call it once the emulator is imported and before it serves."""
    from ministack.services import dynamodb

    if not all(hasattr(dynamodb, name) for name in _NEEDED) or dynamodb._INDEX_MEMBERS != _MEMBERS:
        log.warning("This MiniStack is not known: large partitions are slow to query.")
        return
    orders, index_orders = Orders(), Orders()
    _narrow_queries(dynamodb, orders, index_orders)
    _take_notes(dynamodb, orders, index_orders)


def _narrow_queries(dynamodb: Any, orders: Orders, index_orders: Orders) -> None:
    query = dynamodb._query

    def ordered_query(data: dict[str, Any]) -> Any:
        table = dynamodb._tables.get(dynamodb._normalize_table_name(data.get("TableName")))
        page = None
        if table and data.get("IndexName"):
            page = narrowed_index(table, data, index_orders, dynamodb._index_members(table))
        elif table:
            page = narrowed(table, data, orders)
        if page is None:
            return query(data)
        shown = SimpleNamespace(get=lambda _name: page)
        return FunctionType(query.__code__, {**vars(dynamodb), "_tables": shown})(data)

    dynamodb._query = ordered_query


def _take_notes(dynamodb: Any, orders: Orders, index_orders: Orders) -> None:
    set_item, remove_item = dynamodb._set_item, dynamodb._remove_item

    def entries(table: Table, pk: Any, sk: Any) -> list[tuple[Partition, Entry]]:
        return _entries(dynamodb, table, pk, sk) if index_orders else []

    def noting_set(table: Table, pk: Any, sk: Any, item: Any) -> Any:
        before = entries(table, pk, sk)
        old = set_item(table, pk, sk, item)
        if old is None:
            orders.added(table["items"][pk], sk)
        after = entries(table, pk, sk)
        if after != before:
            for members, entry in before:
                index_orders.removed(members, entry)
            for members, entry in after:
                index_orders.added(members, entry)
        return old

    def noting_remove(table: Table, pk: Any, sk: Any) -> Any:
        partition = table["items"].get(pk)
        before = entries(table, pk, sk)
        old = remove_item(table, pk, sk)
        if old is not None and partition is not None:
            orders.removed(partition, sk)
        for members, entry in before:
            index_orders.removed(members, entry)
        return old

    dynamodb._set_item, dynamodb._remove_item = noting_set, noting_remove


def _entries(dynamodb: Any, table: Table, pk: Any, sk: Any) -> list[tuple[Partition, Entry]]:
    """Return the partitions of indexes in which an item is, and as what."""
    members, item = table.get(_MEMBERS), table["items"].get(pk, {}).get(sk)
    if not members or item is None:
        return []
    found = []
    for name, hashes, ranges in dynamodb._index_key_schemas(table):
        partition = members.get(name, {}).get(dynamodb._index_partition(item, hashes, ranges))
        if partition is not None and len(ranges) == 1:
            try:
                found.append((partition, (_value(item[ranges[0]], _type(table, ranges[0])), pk, sk)))
            except (KeyError, TypeError, ArithmeticError):
                continue  # the order is of fewer items then, and not used
    return found
