"""Writes and conditions as values: rendered for DynamoDB here, interpreted by the in-memory table in tests.

Everything above this layer says *what* must hold and change; nothing above it builds an expression string.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

Key = tuple[str, str]  # (pk, sk)
Members = set[str]
Item = dict[str, Any]  # attribute → str | int | float | bool | None | bytes | set[str] | list | dict


class Condition(msgspec.Struct, frozen=True):
    """One test of one attribute; all conditions of a write must hold together."""

    # Attribute that is looked at.
    attribute: str


class Equals(Condition, frozen=True):
    """The attribute is there and has this value."""

    value: Any


class OneOf(Condition, frozen=True):
    """The attribute has one of these values."""

    values: tuple[Any, ...]


class Absent(Condition, frozen=True):
    """The item has no such attribute."""


class Present(Condition, frozen=True):
    """The item has such an attribute."""


class Below(Condition, frozen=True):
    """The attribute is there and smaller than this."""

    value: int | float


class Fewer(Condition, frozen=True):
    """The attribute is a set of fewer members than this, or absent."""

    than: int


class Put(msgspec.Struct, frozen=True, kw_only=True):
    """Write a whole item; with `new=True` only where none is."""

    item: Item
    new: bool = False

    @property
    def key(self) -> Key:
        """The item's key."""
        return (self.item["pk"], self.item["sk"])


class Update(msgspec.Struct, frozen=True, kw_only=True):
    """Change attributes of one item, if all conditions hold. Creates the item unless a condition forbids it."""

    key: Key
    # New values.
    set: Item = {}
    # Numbers to add (absent counts as 0).
    add: dict[str, int | float] = {}
    # Lists to append to (absent counts as empty).
    append: dict[str, list[Any]] = {}
    # Members to put into sets of strings (absent counts as empty); members that are there stay once.
    insert: dict[str, Members] = {}
    # Members to take out of sets of strings; an emptied set is dropped.
    discard: dict[str, Members] = {}
    # Attributes to drop.
    remove: tuple[str, ...] = ()
    # What must hold beforehand.
    when: tuple[Condition, ...] = ()


class Delete(msgspec.Struct, frozen=True, kw_only=True):
    """Remove one item, if all conditions hold."""

    key: Key
    when: tuple[Condition, ...] = ()


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """Change nothing; in a transaction, refuse it unless all conditions hold."""

    key: Key
    when: tuple[Condition, ...]


Write = Put | Update | Delete
# What a transaction may hold.
Act = Write | Check


def encode(value: Any) -> dict[str, Any]:
    """Encode a Python value as a DynamoDB attribute value. Floats keep their shortest exact notation."""
    match value:
        case bool():
            return {"BOOL": value}
        case str():
            return {"S": value}
        case int() | float():
            return {"N": repr(value)}
        case None:
            return {"NULL": True}
        case bytes():
            return {"B": value}
        case set() | frozenset():
            return {"SS": sorted(value)}
        case list() | tuple():
            return {"L": [encode(entry) for entry in value]}
        case dict():
            return {"M": {name: encode(entry) for name, entry in value.items()}}
    raise TypeError(f"no DynamoDB form for {type(value).__name__}")


def decode(attribute: dict[str, Any]) -> Any:
    """Decode a DynamoDB attribute value: the inverse of `encode` (tuples come back as lists)."""
    ((kind, value),) = attribute.items()
    match kind:
        case "N":
            return float(value) if any(mark in value for mark in ".eE") else int(value)
        case "L":
            return [decode(entry) for entry in value]
        case "M":
            return {name: decode(entry) for name, entry in value.items()}
        case "SS":
            return set(value)
        case "NULL":
            return None
    return value


def encode_item(item: Item) -> dict[str, Any]:
    """Encode a whole item."""
    return {name: encode(value) for name, value in item.items()}


def decode_item(item: dict[str, Any]) -> Item:
    """Decode a whole item."""
    return {name: decode(value) for name, value in item.items()}


def encode_key(key: Key) -> dict[str, Any]:
    """Encode a primary key."""
    return {"pk": {"S": key[0]}, "sk": {"S": key[1]}}


class _Names:
    """Collects the placeholders of one expression."""

    def __init__(self) -> None:
        self._of: dict[str, str] = {}
        self.values: dict[str, Any] = {}

    def name(self, attribute: str) -> str:
        # Numbered, for an attribute's own name may have characters that a placeholder may not.
        return self._of.setdefault(attribute, f"#n{len(self._of)}")

    def value(self, value: Any) -> str:
        placeholder = f":v{len(self.values)}"
        self.values[placeholder] = encode(value)
        return placeholder

    def parameters(self) -> dict[str, Any]:
        request: dict[str, Any] = {}
        if self._of:
            request["ExpressionAttributeNames"] = {
                placeholder: name for name, placeholder in self._of.items()
            }
        if self.values:
            request["ExpressionAttributeValues"] = self.values
        return request


def _condition(names: _Names, condition: Condition) -> str:
    name = names.name(condition.attribute)
    match condition:
        case Equals(value=value):
            return f"{name} = {names.value(value)}"
        case OneOf(values=values):
            return f"{name} IN ({', '.join(names.value(value) for value in values)})"
        case Below(value=value):
            return f"{name} < {names.value(value)}"
        case Absent():
            return f"attribute_not_exists({name})"
        case Present():
            return f"attribute_exists({name})"
        case Fewer(than=than):
            return f"(attribute_not_exists({name}) OR size({name}) < {names.value(than)})"
    raise TypeError(f"unknown condition {condition!r}")


def _conditions(names: _Names, when: tuple[Condition, ...]) -> dict[str, str]:
    if not when:
        return {}
    return {"ConditionExpression": " AND ".join(_condition(names, condition) for condition in when)}


def _pairs(names: _Names, values: Mapping[str, Any]) -> str:
    return ", ".join(f"{names.name(attribute)} {names.value(value)}" for attribute, value in values.items())


def _update_expression(names: _Names, update: Update) -> str:
    sets = [f"{names.name(attribute)} = {names.value(value)}" for attribute, value in update.set.items()]
    for attribute, values in update.append.items():
        name = names.name(attribute)
        sets.append(f"{name} = list_append(if_not_exists({name}, {names.value([])}), {names.value(values)})")
    clauses = [f"SET {', '.join(sets)}"] if sets else []
    if added := {**update.add, **update.insert}:
        clauses.append("ADD " + _pairs(names, added))
    if update.discard:
        clauses.append("DELETE " + _pairs(names, update.discard))
    if update.remove:
        clauses.append("REMOVE " + ", ".join(names.name(attribute) for attribute in update.remove))
    return " ".join(clauses)


def request(write: Act, table: str) -> tuple[str, dict[str, Any]]:
    """Render a write as (operation, parameters), fit both for a call of its own and for a transaction."""
    names = _Names()
    match write:
        case Put(item=item, new=new):
            when: tuple[Condition, ...] = (Absent("pk"),) if new else ()
            parameters = {"Item": encode_item(item), **_conditions(names, when)}
            operation = "Put"
        case Update(key=key, when=when):
            parameters = {
                "Key": encode_key(key),
                "UpdateExpression": _update_expression(names, write),
                **_conditions(names, when),
            }
            operation = "Update"
        case Delete(key=key, when=when):
            parameters = {"Key": encode_key(key), **_conditions(names, when)}
            operation = "Delete"
        case Check(key=key, when=when):
            parameters = {"Key": encode_key(key), **_conditions(names, when)}
            operation = "ConditionCheck"
    return operation, {"TableName": table, **parameters, **names.parameters()}
