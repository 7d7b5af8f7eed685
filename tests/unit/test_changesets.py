"""Stacks by change sets, against answers as CloudFormation gives them (botocore's Stubber checks the requests)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.stub import ANY, Stubber

from infra.changesets import Change, StackError, Stacks, Wanted
from infra.cloud import Cloud

NAME = "syncboard-dev"
URL = "https://bucket.s3.us-east-1.amazonaws.com/template/x.yaml"
WANTED = Wanted(
    name=NAME,
    template_url=URL,
    parameters={"Stage": "dev"},
    known_parameters=frozenset({"Stage", "LogLevel"}),
    tags={"syncboard:stage": "dev"},
)


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Cloud:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    made = Cloud("us-east-1")
    made.poll_seconds = 0
    return made


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def stacks(cloud: Cloud, said: list[str]) -> Stacks:
    return Stacks(cloud, said.append)


@pytest.fixture
def aws(stacks: Stacks) -> Iterator[Stubber]:
    with Stubber(stacks._client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def stack(status: str, **more: Any) -> dict[str, Any]:
    return {
        "Stacks": [
            {"StackName": NAME, "StackId": "id", "StackStatus": status, "CreationTime": "2026-01-01", **more}
        ]
    }


def no_stack(aws: Stubber) -> None:
    aws.add_client_error("describe_stacks", "ValidationError", f"Stack with id {NAME} does not exist", 400)


def change_set(kind: str, parameters: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "StackName": NAME,
        "ChangeSetName": ANY,
        "ChangeSetType": kind,
        "Capabilities": ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        "Parameters": parameters,
        "Tags": [{"Key": "syncboard:stage", "Value": "dev"}],
        "ImportExistingResources": True,
        "TemplateURL": URL,
    }


def change(action: str, name: str, replacement: str = "False") -> dict[str, Any]:
    return {
        "Type": "Resource",
        "ResourceChange": {
            "Action": action,
            "LogicalResourceId": name,
            "ResourceType": "AWS::Lambda::Function",
            "Replacement": replacement,
        },
    }


STAGE = {"ParameterKey": "Stage", "ParameterValue": "dev"}


def test_a_new_stack_is_made_and_what_it_changes_is_shown(
    aws: Stubber, stacks: Stacks, said: list[str]
) -> None:
    no_stack(aws)
    aws.add_response("create_change_set", {"Id": "c"}, change_set("CREATE", [STAGE]))
    aws.add_response("describe_change_set", {"Status": "CREATE_IN_PROGRESS"})
    aws.add_response(
        "describe_change_set",
        {"Status": "CREATE_COMPLETE", "Changes": [change("Add", "B")], "NextToken": "t"},
    )
    aws.add_response("describe_change_set", {"Changes": [change("Import", "A")]})
    aws.add_response("execute_change_set", {})
    # CloudFormation shows the shell for a moment before the change set runs.
    aws.add_response("describe_stacks", stack("REVIEW_IN_PROGRESS"))
    aws.add_response("describe_stacks", stack("CREATE_IN_PROGRESS"))
    aws.add_response("describe_stacks", stack("CREATE_COMPLETE"))
    changes = stacks.deploy(WANTED)
    assert [entry.resource for entry in changes] == ["B", "A"]
    assert said == [
        f"{NAME}: 2 changes",
        "  Add     B (AWS::Lambda::Function)",
        "  Import  A (AWS::Lambda::Function)",
    ]


def test_an_update_keeps_the_parameters_that_nobody_names_and_drops_those_that_are_gone(
    aws: Stubber, stacks: Stacks
) -> None:
    old = [{"ParameterKey": key, "ParameterValue": "x"} for key in ("Stage", "LogLevel", "Gone")]
    aws.add_response("describe_stacks", stack("UPDATE_COMPLETE"))
    aws.add_response("describe_stacks", stack("UPDATE_COMPLETE", Parameters=old))
    kept = {"ParameterKey": "LogLevel", "UsePreviousValue": True}
    aws.add_response("create_change_set", {"Id": "c"}, change_set("UPDATE", [STAGE, kept]))
    aws.add_response(
        "describe_change_set",
        {"Status": "FAILED", "StatusReason": "The submitted information didn't contain changes."},
    )
    aws.add_response("delete_change_set", {})
    assert stacks.deploy(WANTED) == []


def test_a_dry_run_changes_nothing_and_leaves_no_shell(aws: Stubber, stacks: Stacks) -> None:
    no_stack(aws)
    aws.add_response("create_change_set", {"Id": "c"}, change_set("CREATE", [STAGE]))
    aws.add_response("describe_change_set", {"Status": "CREATE_COMPLETE", "Changes": [change("Add", "A")]})
    aws.add_response("delete_change_set", {})
    aws.add_response("delete_stack", {}, {"StackName": NAME})
    assert [entry.action for entry in stacks.deploy(WANTED, dry_run=True)] == ["Add"]


def test_a_failed_update_says_why_and_that_the_old_one_still_runs(aws: Stubber, stacks: Stacks) -> None:
    aws.add_response("describe_stacks", stack("UPDATE_COMPLETE"))
    aws.add_response("describe_stacks", stack("UPDATE_COMPLETE"))
    aws.add_response("create_change_set", {"Id": "c"}, change_set("UPDATE", [STAGE]))
    aws.add_response("describe_change_set", {"Status": "CREATE_COMPLETE", "Changes": [change("Modify", "A")]})
    aws.add_response("execute_change_set", {})
    aws.add_response("describe_stacks", stack("UPDATE_ROLLBACK_COMPLETE"))
    event = {
        "StackId": "id",
        "EventId": "e",
        "StackName": NAME,
        "Timestamp": "2026-01-01",
        "LogicalResourceId": "Ocr",
        "ResourceStatus": "UPDATE_FAILED",
        "ResourceStatusReason": "Source image does not exist",
    }
    aws.add_response("describe_stack_events", {"StackEvents": [event]})
    invalid = {"LogicalResourceId": "Table", "ValidationStatusReason": "Its name is taken"}
    aws.add_response("describe_events", {"OperationEvents": [invalid]})
    with pytest.raises(StackError) as failed:
        stacks.deploy(WANTED)
    assert str(failed.value).splitlines() == [
        f"{NAME} is UPDATE_ROLLBACK_COMPLETE",
        "  Table: Its name is taken",
        "  Ocr: Source image does not exist",
        "What was there before still runs.",
    ]


def test_a_change_set_that_can_not_be_made_says_why(aws: Stubber, stacks: Stacks) -> None:
    no_stack(aws)
    aws.add_response("create_change_set", {"Id": "c"}, change_set("CREATE", [STAGE]))
    reason = "No export named syncboard-dev-data-TableArn found."
    aws.add_response("describe_change_set", {"Status": "FAILED", "StatusReason": reason})
    with pytest.raises(StackError, match="No export named"):
        stacks.deploy(WANTED)


def test_a_stack_that_never_came_up_is_removed_first(aws: Stubber, stacks: Stacks, said: list[str]) -> None:
    aws.add_response("describe_stacks", stack("ROLLBACK_COMPLETE"))
    aws.add_response("describe_stacks", stack("ROLLBACK_COMPLETE"))
    aws.add_response("delete_stack", {}, {"StackName": NAME})
    no_stack(aws)
    aws.add_response("create_change_set", {"Id": "c"}, change_set("CREATE", [STAGE]))
    aws.add_response("describe_change_set", {"Status": "CREATE_COMPLETE", "Changes": [change("Add", "A")]})
    aws.add_response("execute_change_set", {})
    aws.add_response("describe_stacks", stack("CREATE_COMPLETE"))
    stacks.deploy(WANTED)
    assert "failed when it was first made" in said[0]


def test_what_is_made_anew_is_said(aws: Stubber) -> None:
    assert "made anew" in str(Change(action="Modify", resource="T", type="x", replacement="True"))
    assert "perhaps" in str(Change(action="Modify", resource="T", type="x", replacement="Conditional"))
    assert "anew" not in str(Change(action="Modify", resource="T", type="x", replacement="False"))


def test_a_stack_that_can_not_be_deleted_says_why(aws: Stubber, stacks: Stacks) -> None:
    aws.add_response("describe_stacks", stack("CREATE_COMPLETE"))
    aws.add_response("delete_stack", {})
    aws.add_response("describe_stacks", stack("CREATE_COMPLETE"))
    aws.add_response("describe_stack_events", {"StackEvents": []})
    aws.add_response("describe_events", {"OperationEvents": []})
    with pytest.raises(StackError, match=f"{NAME} is CREATE_COMPLETE"):
        stacks.delete(NAME)
