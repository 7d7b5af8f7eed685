"""Checks on what the two stacks and the merge make of each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infra import templates
from infra.findings import Finding
from infra.templates import Template


def imports_exist(data: Template, functions: Template, policies: Mapping[str, Any]) -> list[Finding]:
    """Whatever the functions' stack and its policies import, the data stack exports under that name."""
    exported = {name for name, output in data.get("Outputs", {}).items() if "Export" in output}
    sources: dict[str, Any] = {"functions": functions, **policies}
    return [
        Finding(where=source, message=f"imports {name}, which infra/data.yaml does not export")
        for source, content in sources.items()
        for name in sorted(set(templates.imports(content)) - exported)
    ]


def intrinsics_stand_alone(template: Template) -> list[Finding]:
    """No mapping holds an intrinsic function beside another key: a deep merge can make one."""
    return [
        Finding(
            where=", ".join(sorted(mapping)),
            message="an intrinsic function beside other keys, made by the merge",
        )
        for mapping in templates.walk(template)
        if len(mapping) > 1 and any(key.startswith("Fn::") or key == "Ref" for key in mapping)
    ]


def resources_are_whole(packaged: Template) -> list[Finding]:
    """Every resource and event of the packaged template has a type.

    One without is an override in infra/functions.yaml of something that app.py no longer has.
    """
    gone = "is in infra/functions.yaml, but app.py has no such thing"
    found = []
    for name, resource in packaged["Resources"].items():
        if "Type" not in resource:
            found.append(Finding(where=name, message=gone))
        events = resource.get("Properties", {}).get("Events", {})
        found += [
            Finding(where=f"{name}.{e}", message=gone) for e, event in events.items() if "Type" not in event
        ]
    return found
