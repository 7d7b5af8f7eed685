"""JSON Schemas of msgspec structs, described by what their source says: docstrings, and comments over fields."""

from __future__ import annotations

import ast
import functools
import inspect
import textwrap
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from chalicelib import errors
from chalicelib.api import answers

Schema = dict[str, Any]
Shape = type[msgspec.Struct]

REFERENCE: Final = "#/components/schemas/{name}"


def components(shapes: Iterable[Shape]) -> dict[str, Schema]:
    """Return the schemas of `shapes`, and of all that they contain, by name."""
    wanted = list(dict.fromkeys(shapes))
    _, found = msgspec.json.schema_components(wanted, ref_template=REFERENCE)
    # Shapes that are only parts of others: the comments are in their sources, too.
    for shape in _all_parts(wanted):
        _describe(found[shape.__name__], shape)
    found[answers.Problem.__name__]["properties"]["type"]["enum"] = error_types()
    return {name: _plain(found[name]) for name in sorted(found)}


def reference(shape: Shape) -> Schema:
    """Return the reference to a shape's schema."""
    return {"$ref": REFERENCE.format(name=shape.__name__)}


def parameters(query: Shape | None) -> list[Schema]:
    """Return the parameters of a query as OpenAPI has them."""
    if query is None:
        return []
    _, found = msgspec.json.schema_components([query], ref_template=REFERENCE)
    schema = _plain(found[query.__name__])
    comments = field_comments(query)
    return [
        {
            "name": name,
            "in": "query",
            "required": name in schema.get("required", ()),
            **({"description": comments[name]} if name in comments else {}),
            "schema": there,
        }
        for name, there in schema["properties"].items()
    ]


def error_types() -> list[str]:
    """Return the type of every error that a user can meet."""

    def below(kind: type[errors.SyncBoardError]) -> set[str]:
        return {kind.type}.union(*(below(part) for part in kind.__subclasses__()))

    # What another module adds is its own (the local port's `forbidden`).
    hidden = {errors.StaleRun.type, errors.HandOver.type}
    return sorted(below(errors.SyncBoardError) & _types_of_module() - hidden)


def _types_of_module() -> set[str]:
    kinds = (kind for _, kind in inspect.getmembers(errors, inspect.isclass))
    return {kind.type for kind in kinds if issubclass(kind, errors.SyncBoardError)}


@functools.cache
def field_comments(shape: type) -> dict[str, str]:
    """Return the comments over the fields of a class and of those that it extends, as sentences."""
    found: dict[str, str] = {}
    for kind in reversed(shape.__mro__):
        if kind.__module__.startswith("chalicelib."):
            found |= _own_comments(kind)
    return found


def _own_comments(kind: type) -> dict[str, str]:
    source = textwrap.dedent(inspect.getsource(kind))
    lines = source.splitlines()
    body = ast.parse(source).body[0]
    assert isinstance(body, ast.ClassDef)
    found = {}
    for field in body.body:
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            above: list[str] = []
            at = field.lineno - 2
            while at >= 0 and lines[at].strip().startswith("#"):
                above.insert(0, lines[at].strip().lstrip("# "))
                at -= 1
            if above:
                found[field.target.id] = " ".join(above)
    return found


def _describe(schema: Schema, shape: Shape) -> None:
    for name, comment in field_comments(shape).items():
        if name in schema.get("properties", {}):
            schema["properties"][name]["description"] = comment


def _all_parts(shapes: Iterable[Shape]) -> set[Shape]:
    """Return structs with the structs in their fields."""
    found: set[Shape] = set()

    def walk(kind: Any) -> None:
        if isinstance(kind, msgspec.inspect.StructType):
            if kind.cls in found:
                return
            found.add(kind.cls)
            for field in kind.fields:
                walk(field.type)
        for name in ("item_type", "key_type", "value_type", "type"):
            if (part := getattr(kind, name, None)) is not None:
                walk(part)
        for part in (*getattr(kind, "types", ()), *getattr(kind, "item_types", ())):
            walk(part)

    for shape in shapes:
        walk(msgspec.inspect.type_info(shape))
    return found


def _plain(schema: Any) -> Any:
    """Return a schema without what says nothing: titles that are names, `null` as a default."""
    if isinstance(schema, list):
        return [_plain(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: _plain(part)
        for name, part in schema.items()
        if not (name == "title" and isinstance(part, str)) and not (name == "default" and part is None)
    }
