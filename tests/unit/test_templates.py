"""The templates pass the project's own checks, and each check fails on a template that it should refuse."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from chalicelib.settings import QUEUES, Settings
from infra import checks, templates
from infra.templates import Template

ROOT = Path(__file__).resolve().parents[2]

DATA = templates.read(templates.DATA)
FUNCTIONS = templates.with_chalice_settings(
    templates.read(templates.FUNCTIONS), templates.chalice_config(), "dev"
)
MAX_ATTEMPTS = Settings().max_attempts


@pytest.fixture
def data() -> Template:
    return copy.deepcopy(DATA)


@pytest.fixture
def functions() -> Template:
    return copy.deepcopy(FUNCTIONS)


def event_of(functions: Template, function: str) -> dict[str, Any]:
    (event,) = functions["Resources"][function]["Properties"]["Events"].values()
    properties: dict[str, Any] = event["Properties"]
    return properties


def places(findings: list[checks.Finding]) -> list[str]:
    return [finding.where for finding in findings]


def policy(**statement: Any) -> dict[str, Any]:
    return {"policy-x.json": {"Statement": [{"Sid": "S", "Effect": "Allow", **statement}]}}


# --- The templates as they are ------------------------------------------------------------------------------


def test_the_sources_pass_every_check() -> None:
    assert checks.check_sources() == []


def test_every_queue_of_the_settings_is_made_with_its_dead_letter_queue(data: Template) -> None:
    made = {
        queue["Properties"]["QueueName"]["Fn::Sub"]
        for queue in data["Resources"].values()
        if queue["Type"] == "AWS::SQS::Queue"
    }
    assert made == {f"syncboard-${{Stage}}-{name}{suffix}" for name in QUEUES for suffix in ("", "-dlq")}


def test_only_the_bucket_may_send_to_intake_and_only_for_this_account(data: Template) -> None:
    statements = data["Resources"]["IntakeQueuePolicy"]["Properties"]["PolicyDocument"]["Statement"]
    (allowed,) = [statement for statement in statements if statement["Effect"] == "Allow"]
    bucket = data["Resources"]["Bucket"]["Properties"]["BucketName"]["Fn::Sub"]
    assert allowed["Condition"] == {
        "ArnEquals": {"aws:SourceArn": {"Fn::Sub": f"arn:${{AWS::Partition}}:s3:::{bucket}"}},
        "StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}},
    }
    assert data["Resources"]["Bucket"]["DependsOn"] == "IntakeQueuePolicy"


def test_every_queue_has_a_policy_that_refuses_plain_http(data: Template) -> None:
    covered = [
        queue["Ref"]
        for resource in data["Resources"].values()
        if resource["Type"] == "AWS::SQS::QueuePolicy"
        and any(
            statement["Sid"] == "TlsOnly"
            for statement in resource["Properties"]["PolicyDocument"]["Statement"]
        )
        for queue in resource["Properties"]["Queues"]
    ]
    queues = [name for name, resource in data["Resources"].items() if resource["Type"] == "AWS::SQS::Queue"]
    assert sorted(covered) == sorted(queues)


def test_the_lifecycle_expires_uploads_in_every_version_and_texts_in_none_that_is_current(
    data: Template,
) -> None:
    rules = {
        rule["Prefix"]: rule
        for rule in data["Resources"]["Bucket"]["Properties"]["LifecycleConfiguration"]["Rules"]
    }
    days = {"Ref": "UploadDays"}
    for prefix in ("uploads/", "inline/"):
        assert rules[prefix]["ExpirationInDays"] == days
        assert rules[prefix]["NoncurrentVersionExpiration"]["NoncurrentDays"] == days
    expiring = {prefix for prefix, rule in rules.items() if "ExpirationInDays" in rule}
    assert expiring == {"uploads/", "inline/"}


def test_every_queue_has_an_alarm_for_what_waits_and_for_what_was_given_up(data: Template) -> None:
    watched = {
        (alarm["Properties"]["Dimensions"][0]["Value"]["Fn::GetAtt"][0], alarm["Properties"]["MetricName"])
        for alarm in data["Resources"].values()
        if alarm["Type"] == "AWS::CloudWatch::Alarm"
    }
    queues = [name for name, resource in data["Resources"].items() if resource["Type"] == "AWS::SQS::Queue"]
    assert watched == {
        (
            name,
            "ApproximateNumberOfMessagesVisible" if name.endswith("Dlq") else "ApproximateAgeOfOldestMessage",
        )
        for name in queues
    }


def test_the_dashboard_is_json_with_a_search_in_every_widget(data: Template) -> None:
    body = json.loads(data["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"])
    metrics = [metric for widget in body["widgets"] for (metric,) in widget["properties"]["metrics"]]
    assert metrics
    assert all(metric["expression"].startswith("SEARCH('{AWS/") for metric in metrics)


def test_what_holds_data_outlives_its_stack(data: Template) -> None:
    for name in ("Table", "Bucket"):
        resource = data["Resources"][name]
        assert resource["DeletionPolicy"] == resource["UpdateReplacePolicy"] == "Retain"


def test_the_api_gets_no_layer_and_the_secret_and_the_workers_the_other_way_round(
    functions: Template,
) -> None:
    api, uploads = (functions["Resources"][name]["Properties"] for name in ("APIHandler", "Uploads"))
    assert "Layers" not in api
    assert uploads["Layers"] == [{"Ref": "IngestLayer"}]
    assert "SYNCBOARD_JWT_SECRET" in api["Environment"]["Variables"]
    assert "SYNCBOARD_JWT_SECRET" not in functions["Globals"]["Function"]["Environment"]["Variables"]


def test_every_function_of_every_stage_has_a_policy_file_of_its_own() -> None:
    config = templates.chalice_config()
    assert config["autogen_policy"] is False
    for stage in config["stages"].values():
        files = [options["iam_policy_file"] for options in stage["lambda_functions"].values()]
        assert sorted(files) == sorted(templates.policies())


# --- Each check, on a template that is broken ---------------------------------------------------------------


def test_a_queue_without_a_dead_letter_queue_is_found(data: Template) -> None:
    del data["Resources"]["UploadsQueue"]["Properties"]["RedrivePolicy"]
    # Nobody points at the former dead-letter queue any more, so it is a queue without one, too.
    assert places(checks.queues_have_dead_letters(data, MAX_ATTEMPTS)) == ["UploadsQueue", "UploadsDlq"]


def test_a_dead_letter_queue_that_forgets_earlier_is_found(data: Template) -> None:
    data["Resources"]["AnalysisDlq"]["Properties"]["MessageRetentionPeriod"] = 3600
    assert places(checks.queues_have_dead_letters(data, MAX_ATTEMPTS)) == ["AnalysisQueue"]


def test_a_queue_that_gives_up_before_the_engine_is_found(data: Template) -> None:
    data["Resources"]["IntakeQueue"]["Properties"]["RedrivePolicy"]["maxReceiveCount"] = MAX_ATTEMPTS + 3
    assert places(checks.queues_have_dead_letters(data, MAX_ATTEMPTS)) == ["IntakeQueue"]


def test_a_visibility_under_six_time_limits_is_found(data: Template, functions: Template) -> None:
    functions["Resources"]["Uploads"]["Properties"]["Timeout"] = 661
    (finding,) = checks.visibility_covers_timeouts(data, functions)
    assert finding.where == "Uploads"
    assert "3960 s" in finding.message


def test_a_function_that_ends_with_its_job_is_found_unless_it_only_takes_in(functions: Template) -> None:
    assert functions["Resources"]["Intake"]["Properties"]["Timeout"] < 600
    functions["Resources"]["LowPriority"]["Properties"]["Timeout"] = 659
    assert places(checks.time_limits_are_outlived(functions, 600)) == ["LowPriority"]


def test_an_event_of_an_unknown_queue_is_found(data: Template, functions: Template) -> None:
    event_of(functions, "Intake")["Queue"] = "arn:aws:sqs:us-east-1:000000000000:elsewhere"
    assert places(checks.visibility_covers_timeouts(data, functions)) == ["Intake"]


def test_an_event_that_would_delete_failed_records_is_found(functions: Template) -> None:
    del event_of(functions, "LowPriority")["FunctionResponseTypes"]
    assert places(checks.failed_records_come_back_alone(functions)) == ["LowPriority"]


@pytest.mark.parametrize("concurrency", [0, 1, {"Ref": "Concurrency"}])
def test_a_concurrency_that_lambda_or_the_emulator_refuses_is_found(
    functions: Template, concurrency: Any
) -> None:
    event_of(functions, "Uploads")["ScalingConfig"]["MaximumConcurrency"] = concurrency
    assert places(checks.concurrency_is_possible(functions)) == ["Uploads"]


@pytest.mark.parametrize("variable", ["SYNCBOARD_TABLE", "SYNCBOARD_QUEUE_UPLOADS_OCR"])
def test_a_setting_that_no_template_sets_is_found(functions: Template, variable: str) -> None:
    del functions["Globals"]["Function"]["Environment"]["Variables"][variable]
    assert places(checks.settings_are_set(functions)) == [variable]


def test_a_variable_that_nobody_reads_is_found(functions: Template) -> None:
    functions["Globals"]["Function"]["Environment"]["Variables"]["SYNCBOARD_BUKCET"] = "typo"
    assert places(checks.settings_are_set(functions)) == ["SYNCBOARD_BUKCET"]


def test_an_import_of_what_is_not_exported_is_found(data: Template, functions: Template) -> None:
    del data["Outputs"]["TableArn"]["Export"]
    found = checks.imports_exist(data, functions, templates.policies())
    assert places(found) == sorted(templates.policies())
    assert all("TableArn" in finding.message for finding in found)


def test_two_functions_merged_into_one_value_are_found(functions: Template) -> None:
    event_of(functions, "Intake")["Queue"]["Fn::ImportValue"] = "x-IntakeQueueArn"
    assert places(checks.intrinsics_stand_alone(functions)) == ["Fn::ImportValue, Fn::Sub"]


def test_an_override_of_something_that_the_app_no_longer_has_is_found() -> None:
    packaged = {
        "Resources": {
            "Gone": {"Properties": {"MemorySize": 512}},
            "There": {
                "Type": "AWS::Serverless::Function",
                "Properties": {"Events": {"Old": {"Properties": {}}}},
            },
        }
    }
    assert places(checks.resources_are_whole(packaged)) == ["Gone", "There.Old"]


@pytest.mark.parametrize(
    "statement",
    [
        {"Action": "*", "Resource": "arn:aws:sqs:us-east-1:1:q"},
        {"Action": ["sqs:SendMessage", "sqs:*"], "Resource": "arn:aws:sqs:us-east-1:1:q"},
        {"Action": "sqs:Get*", "Resource": "arn:aws:sqs:us-east-1:1:q"},
        {"Action": "sqs:SendMessage", "Resource": "*"},
        {"Action": "sqs:SendMessage", "Resource": ["arn:aws:sqs:us-east-1:1:q", "arn:aws:sqs:us-east-1:1:*"]},
        {"Action": "s3:GetObject", "Resource": "arn:aws:s3:::bucket/*"},
        {"Action": "s3:GetObject", "Resource": {"Fn::Sub": "arn:aws:s3:::*"}},
        {"Action": "dynamodb:Query", "Resource": {"Fn::Sub": "arn:aws:dynamodb:us-east-1:1:table/*"}},
        {"NotAction": "s3:GetObject", "Resource": "arn:aws:sqs:us-east-1:1:q"},
    ],
)
def test_a_wildcard_in_a_policy_is_found_unless_a_reason_is_written(statement: dict[str, Any]) -> None:
    broken = policy(**statement)
    assert places(checks.policies_name_what_they_allow(broken)) == ["policy-x.json S"]
    assert checks.policies_name_what_they_allow(broken, {("policy-x.json", "S"): "because"}) == []


@pytest.mark.parametrize(
    "resource",
    [
        {"Fn::Sub": ["${Arn}/uploads/*", {"Arn": "x"}]},
        {"Fn::Sub": "arn:aws:logs:us-east-1:1:log-group:/syncboard/dev/api:*"},
        {"Ref": "JwtSecretArn"},
    ],
)
def test_a_prefix_and_a_log_group_are_no_wildcards(resource: dict[str, Any]) -> None:
    assert checks.policies_name_what_they_allow(policy(Action="s3:GetObject", Resource=resource)) == []


def test_uploads_that_may_expire_before_their_jobs_are_found(data: Template) -> None:
    data["Parameters"]["UploadDays"]["MinValue"] = 30
    assert places(checks.uploads_outlive_jobs(data, Settings().job_ttl_seconds)) == ["UploadDays"]


def test_the_command_prints_what_is_wrong_with_a_packaged_template(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], functions: Template
) -> None:
    functions["Resources"]["Uploads"]["Type"] = "AWS::Serverless::Function"
    path = tmp_path / "template.yaml"
    templates.write(functions, path)
    assert checks.main([str(path)]) == 1
    assert "Intake: is in infra/functions.yaml, but app.py has no such thing" in capsys.readouterr().err


# --- Reading and writing ------------------------------------------------------------------------------------


def test_short_forms_are_read_as_long_ones() -> None:
    assert templates.parse("a: !GetAtt B.C.D\nb: !Ref X\nc: !Sub [t, {v: !Ref Y}]\nd: !Condition Z") == {
        "a": {"Fn::GetAtt": ["B", "C.D"]},
        "b": {"Ref": "X"},
        "c": {"Fn::Sub": ["t", {"v": {"Ref": "Y"}}]},
        "d": {"Condition": "Z"},
    }


def test_a_template_is_written_without_aliases_and_reads_back_the_same(tmp_path: Path) -> None:
    shared = {"Ref": "X"}
    path = tmp_path / "t.yaml"
    templates.write({"b": shared, "a": shared}, path)
    assert "&" not in path.read_text(encoding="utf-8")
    assert templates.read(path) == {"b": shared, "a": shared}


@pytest.mark.parametrize("name", ["api", "intake", "uploads", "low_priority", "sweeper"])
def test_whoever_changes_jobs_may_query_every_index_of_jobs(name: str) -> None:
    """Every end of a job lets waiting ones in, which are found by an index."""
    table = templates.read(ROOT / "infra" / "data.yaml")["Resources"]["Table"]["Properties"]
    indexes = {index["IndexName"] for index in table["GlobalSecondaryIndexes"]}
    if name not in ("api", "low_priority"):
        indexes.remove("by_cluster")  # documents of a topic are for those who show it or take it apart
    policy = json.loads((ROOT / ".chalice" / f"policy-{name}.json").read_text(encoding="utf-8"))
    (statement,) = [entry for entry in policy["Statement"] if entry["Sid"] == "QueryIndexes"]
    assert {resource["Fn::Sub"][0] for resource in statement["Resource"]} == {
        f"${{Arn}}/index/{index}" for index in indexes
    }


@pytest.mark.parametrize(
    ("name", "action", "folder"),
    [
        ("api", "GetObject", "search"),  # GET /search
        ("api", "DeleteObject", "texts"),  # DELETE /documents/{id}: text and source
        ("api", "DeleteObject", "inline"),
        ("api", "DeleteObject", "uploads"),
        ("low_priority", "GetObject", "search"),  # tidy_library
        ("low_priority", "PutObject", "search"),
        ("low_priority", "DeleteObject", "search"),
        ("low_priority", "DeleteObject", "texts"),  # tidy_library finishes deletions
        ("low_priority", "DeleteObject", "inline"),
        ("low_priority", "DeleteObject", "uploads"),
        ("sweeper", "GetObject", "texts"),  # what a killed run left tells its bands
        ("sweeper", "DeleteObject", "texts"),
        ("uploads", "GetObject", "texts"),
        ("uploads", "DeleteObject", "texts"),
        ("api", "GetObject", "texts"),
    ],
)
def test_a_function_may_touch_the_objects_that_it_works_on(name: str, action: str, folder: str) -> None:
    policy = json.loads((ROOT / ".chalice" / f"policy-{name}.json").read_text(encoding="utf-8"))
    allowed = [
        entry
        for entry in policy["Statement"]
        if f"s3:{action}" in _as_list(entry.get("Action")) and f"/{folder}/*" in json.dumps(entry["Resource"])
    ]
    assert allowed


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
