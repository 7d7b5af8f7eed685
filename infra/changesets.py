"""Stacks by change sets: what would change is known, and shown, before anything does."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec
from botocore.exceptions import ClientError

from infra.cloud import Cloud

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.type_defs import StackTypeDef

# A function with many dependents takes minutes; a stack that takes longer is stuck.
_WAIT_SECONDS: Final = 3600.0
_SETTLED: Final = frozenset({"CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE"})
# A stack that failed when it was first made can only be deleted.
_DEAD: Final = frozenset({"ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED"})
_NEW: Final = frozenset({"REVIEW_IN_PROGRESS"})
_NOTHING: Final = ("didn't contain changes", "no updates are to be performed", "no changes to deploy")


class StackError(RuntimeError):
    """A stack could not be deployed or deleted; the message says why, and what its state is."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What would happen to one resource."""

    # Add, Modify, Remove, Import …
    action: str
    # Name in the template, and type.
    resource: str
    type: str
    # True or Conditional: it would be made anew, and the old one deleted.
    replacement: str = ""

    def __str__(self) -> str:
        anew = {"True": "  (made anew)", "Conditional": "  (perhaps made anew)"}.get(self.replacement, "")
        return f"{self.action:<7} {self.resource} ({self.type}){anew}"


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """A stack as it should be."""

    name: str
    # Address of the template, in a bucket.
    template_url: str
    # Those that are not named keep their value, or get the template's default.
    parameters: Mapping[str, str] = {}
    # The names of the template's parameters: others of an older deployment are dropped.
    known_parameters: frozenset[str] = frozenset()
    tags: Mapping[str, str] = {}


class Stacks:
    """The stacks of one account and region. `report` gets lines for people."""

    def __init__(self, cloud: Cloud, report: Callable[[str], None]) -> None:
        self._client = cloud.cloudformation
        self._poll_seconds = cloud.poll_seconds
        self._emulated = cloud.endpoint_url is not None
        self._report = report

    def outputs(self, name: str) -> dict[str, str]:
        """Return a stack's outputs; none where there is no such stack."""
        stack = self._find(name)
        outputs = stack.get("Outputs", []) if stack else []
        return {item["OutputKey"]: item["OutputValue"] for item in outputs}

    def parameters(self, name: str) -> dict[str, str]:
        """Return the values that a stack was deployed with; none where there is no such stack."""
        stack = self._find(name)
        parameters = stack.get("Parameters", []) if stack else []
        return {item["ParameterKey"]: item.get("ParameterValue", "") for item in parameters}

    def exists(self, name: str) -> bool:
        """Tell whether there is such a stack, with resources in it."""
        stack = self._find(name)
        return stack is not None and stack["StackStatus"] not in _NEW

    def deploy(self, wanted: Wanted, *, dry_run: bool = False) -> list[Change]:
        """Bring a stack to what is wanted, unless it is a `dry_run`; report and return the changes.

        Resources that are there already and that the template keeps (the data of a deleted stack) become the
        stack's again. Raise StackError; CloudFormation has then gone back to what there was.
        """
        stack = self._wait(wanted.name)
        if stack is not None and stack["StackStatus"] in _DEAD:
            self._report(f"{wanted.name} failed when it was first made: it is removed and made anew")
            self.delete(wanted.name)
            stack = None
        new = stack is None or stack["StackStatus"] in _NEW
        change_set = self._create(wanted, new=new)
        changes = self._changes(wanted.name, change_set)
        if changes is None or dry_run:
            self._show(wanted.name, changes)
            self._client.delete_change_set(StackName=wanted.name, ChangeSetName=change_set)
            if new:
                # The empty shell that a first change set makes.
                self._client.delete_stack(StackName=wanted.name)
            return changes or []
        self._show(wanted.name, changes)
        # A first deployment that fails leaves nothing: what a template retains, too, is removed if it was just made.
        self._client.execute_change_set(
            StackName=wanted.name, ChangeSetName=change_set, RetainExceptOnCreate=True
        )
        stack = self._wait(wanted.name, after=_NEW)
        if stack is None or stack["StackStatus"] not in _SETTLED:
            raise StackError(self._reasons(wanted.name, stack))
        return changes

    def delete(self, name: str) -> None:
        """Delete a stack and wait; what its template retains stays. Raise StackError."""
        if self._find(name) is None:
            return
        self._client.delete_stack(StackName=name)
        stack = self._wait(name)
        if stack is not None:
            raise StackError(self._reasons(name, stack))

    def _create(self, wanted: Wanted, *, new: bool) -> str:
        """Make a change set; return its name."""
        previous = {} if new else self.parameters(wanted.name)
        known = wanted.known_parameters
        arguments: dict[str, Any] = {
            "StackName": wanted.name,
            "ChangeSetName": f"syncboard-{time.time_ns() // 1_000_000}",
            "ChangeSetType": "CREATE" if new else "UPDATE",
            "Capabilities": ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
            "Parameters": [
                *({"ParameterKey": key, "ParameterValue": value} for key, value in wanted.parameters.items()),
                *(
                    {"ParameterKey": key, "UsePreviousValue": True}
                    for key in previous
                    if key not in wanted.parameters and key in known
                ),
            ],
            "Tags": [{"Key": key, "Value": value} for key, value in wanted.tags.items()],
            "ImportExistingResources": True,
            "TemplateURL": wanted.template_url,
        }
        if self._emulated:
            # MiniStack 1.5.33 takes the name of a bucket that is to be imported for a conflict.
            arguments["DisableValidation"] = True
        self._client.create_change_set(**arguments)
        return str(arguments["ChangeSetName"])

    def _changes(self, name: str, change_set: str) -> list[Change] | None:
        """Return what a change set would do once it is known; None: nothing. Raise StackError if it can't be."""
        deadline = time.monotonic() + _WAIT_SECONDS
        while True:
            found = self._client.describe_change_set(StackName=name, ChangeSetName=change_set)
            if found["Status"] == "FAILED":
                reason = found.get("StatusReason", "no reason given")
                if any(words in reason.lower() for words in _NOTHING):
                    return None
                raise StackError(f"{name}: what would change can't be told: {reason}")
            if found["Status"] == "CREATE_COMPLETE":
                break
            if time.monotonic() > deadline:
                raise StackError(f"{name}: its change set is still {found['Status']}")
            time.sleep(self._poll_seconds)
        changes = list(found.get("Changes", []))
        while token := found.get("NextToken"):
            found = self._client.describe_change_set(
                StackName=name, ChangeSetName=change_set, NextToken=token
            )
            changes += found.get("Changes", [])
        return [
            Change(
                action=change["ResourceChange"]["Action"],
                resource=change["ResourceChange"]["LogicalResourceId"],
                type=change["ResourceChange"]["ResourceType"],
                replacement=change["ResourceChange"].get("Replacement", ""),
            )
            for change in changes
        ]

    def _show(self, name: str, changes: list[Change] | None) -> None:
        self._report(f"{name}: {len(changes)} changes" if changes else f"{name}: nothing to change")
        for change in sorted(changes or [], key=lambda change: (change.action, change.resource)):
            self._report(f"  {change}")

    def _find(self, name: str) -> StackTypeDef | None:
        try:
            stack = self._client.describe_stacks(StackName=name)["Stacks"][0]
        except ClientError as error:
            if "does not exist" in str(error):
                return None
            raise
        return None if stack["StackStatus"] == "DELETE_COMPLETE" else stack

    def _wait(self, name: str, *, after: frozenset[str] = frozenset()) -> StackTypeDef | None:
        """Return the stack once nothing is in progress and its status is not one of `after`; None: there is none."""
        deadline = time.monotonic() + _WAIT_SECONDS
        while True:
            stack = self._find(name)
            if stack is None:
                return None
            status = stack["StackStatus"]
            moving = status.endswith("_IN_PROGRESS") and status not in _NEW
            if not moving and status not in after:
                return stack
            if time.monotonic() > deadline:
                raise StackError(
                    f"{name} is still {status} after {_WAIT_SECONDS:g} s; CloudFormation goes on"
                )
            time.sleep(self._poll_seconds)

    def _reasons(self, name: str, stack: StackTypeDef | None) -> str:
        """Say how a stack stands, and what its failed resources say."""
        if stack is None:
            return f"{name} disappeared while it was deployed"
        where = stack.get("StackId", name)
        events = self._client.describe_stack_events(StackName=where)["StackEvents"]
        invalid = self._client.describe_events(StackName=where, Filters={"FailedEvents": True})
        failed = [
            f"  {event.get('LogicalResourceId')}: {event['ValidationStatusReason']}"
            for event in invalid.get("OperationEvents", [])
            if "ValidationStatusReason" in event
        ]
        failed += [
            f"  {event.get('LogicalResourceId')}: {event.get('ResourceStatusReason')}"
            for event in reversed(events)
            if event.get("ResourceStatus", "").endswith("_FAILED")
        ]
        back = "ROLLBACK" in stack["StackStatus"]
        tail = ["What was there before still runs."] if back and "UPDATE" in stack["StackStatus"] else []
        return "\n".join([f"{name} is {stack['StackStatus']}", *dict.fromkeys(failed), *tail])
