"""Checks on IAM policies: each names what it allows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from infra.findings import Finding, as_list

# (policy, Sid) → why this statement may hold a wildcard. Write the reason here, or do without.
WILDCARD_REASONS: Final[Mapping[tuple[str, str], str]] = {
    ("TracePolicy", "SendTraces"): "X-Ray knows no resources: AWS wants `*` for these two actions",
}


def statements(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a policy's statements, those under a condition too."""
    for statement in document["Statement"]:
        branches = statement["Fn::If"][1:] if "Fn::If" in statement else [statement]
        yield from (branch for branch in branches if "Effect" in branch)


def policies_name_what_they_allow(
    policies: Mapping[str, Any], reasons: Mapping[tuple[str, str], str] = WILDCARD_REASONS
) -> list[Finding]:
    """No allowed action or resource is a wildcard without a written reason.

    A resource may end in `/*` under a prefix (all its keys) and in `:*` behind a log group (all its streams).
    """
    found = []
    for policy, document in policies.items():
        for statement in statements(document):
            sid = statement.get("Sid", "?")
            if statement["Effect"] != "Allow" or (policy, sid) in reasons:
                continue
            actions = [action for action in as_list(statement.get("Action", "*")) if "*" in action]
            allowed = [
                resource for resource in as_list(statement.get("Resource", "*")) if _is_wildcard(resource)
            ]
            found += [
                Finding(where=f"{policy} {sid}", message=f"wildcard {w} without a reason")
                for w in actions + allowed
            ]
    return found


def _is_wildcard(resource: Any) -> bool:
    """Say whether a resource (a string, or a function that makes one) leaves its name open."""
    if isinstance(resource, dict):
        text = resource.get("Fn::Sub", "")
        resource = text[0] if isinstance(text, list) else text
    name = resource
    if ":log-group:" in name:
        name = name.removesuffix(":*")
    if name.endswith("/*") and "/" in name.removesuffix("/*").rpartition(":")[2]:
        name = name.removesuffix("/*")
    return "*" in name
