"""Checks on IAM policies: each names what it allows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from infra.findings import Finding, as_list, functions_of, resources
from infra.templates import Template

# (policy, Sid) → why this statement may hold a wildcard. Write the reason here, or do without.
WILDCARD_REASONS: Final[Mapping[tuple[str, str], str]] = {
    ("TracePolicy", "SendTraces"): "X-Ray knows no resources: AWS wants `*` for these two actions",
}


# (role, policy of AWS) → why it is not written out here. AWS may widen it at any time.
MANAGED_REASONS: Final[Mapping[tuple[str, str], str]] = {
    ("ApiLogsRole", "AmazonAPIGatewayPushToCloudWatchLogs"): "API Gateway refuses a role that has less",
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


def no_policy_is_borrowed(
    template: Template, reasons: Mapping[tuple[str, str], str] = MANAGED_REASONS
) -> list[Finding]:
    """No role takes a policy of AWS without a written reason, nor a function one of SAM's."""
    found = []
    for name, role in resources(template, "AWS::IAM::Role").items():
        for arn in role.get("ManagedPolicyArns", ()):
            text = str(arn.get("Fn::Sub", arn) if isinstance(arn, dict) else arn)
            if (name, text.rpartition("/")[2]) not in reasons:
                found.append(Finding(where=name, message=f"takes {text} without a reason"))
    for name, function in functions_of(template).items():
        if "Policies" in function:
            found.append(Finding(where=name, message="its Policies would make a role beside its own"))
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
