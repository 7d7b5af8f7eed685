"""What checks on templates find, and how they look around in one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from infra.templates import Template


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Something wrong in a template."""

    # Resource, file or variable.
    where: str
    # What is wrong, and what would be right.
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message}"


_FUNCTION: Final = "AWS::Serverless::Function"


def resources(template: Template, kind: str) -> dict[str, dict[str, Any]]:
    """Return the properties of all resources of a type, by name."""
    return {
        name: resource.get("Properties", {})
        for name, resource in template.get("Resources", {}).items()
        if resource.get("Type") == kind
    }


def functions_of(template: Template) -> dict[str, dict[str, Any]]:
    """Return the properties of all functions. Those that Chalice completes have no type before the merge."""
    untyped = {
        name: resource["Properties"]
        for name, resource in template.get("Resources", {}).items()
        if "Type" not in resource and "FunctionName" in resource.get("Properties", {})
    }
    return untyped | resources(template, _FUNCTION)


def sqs_events(functions: Template) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Yield resource name, function properties and event properties of every queue that calls a function."""
    for name, properties in functions_of(functions).items():
        for event in properties.get("Events", {}).values():
            if event.get("Type", "SQS") == "SQS" and "Queue" in event.get("Properties", {}):
                yield name, properties, event["Properties"]


def resource_of_export(data: Template, export: str) -> str | None:
    """Return the resource that an exported `Fn::GetAtt` or `Ref` names."""
    value = data.get("Outputs", {}).get(export, {}).get("Value", {})
    if "Ref" in value:
        return str(value["Ref"])
    target = value.get("Fn::GetAtt")
    return target[0] if target else None


def as_list(value: Any) -> list[Any]:
    """Return a list as it is, and anything else as a list of one."""
    return value if isinstance(value, list) else [value]
