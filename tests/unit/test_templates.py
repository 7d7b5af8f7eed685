"""The templates pass the project's own checks, and each check fails on a template that it should refuse."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from chalicelib.settings import QUEUES, Settings
from infra import (
    checks,
    function_checks,
    merge_checks,
    metric_checks,
    policy_checks,
    queue_checks,
    templates,
)
from infra.findings import Finding
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


def places(findings: list[Finding]) -> list[str]:
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


def test_what_was_deleted_or_replaced_is_gone_for_good_after_a_while_in_every_folder(data: Template) -> None:
    """The bucket keeps versions: of texts, and of files of the search index, which hold deleted texts' words."""
    rules = {
        rule["Prefix"]: rule
        for rule in data["Resources"]["Bucket"]["Properties"]["LifecycleConfiguration"]["Rules"]
    }
    for prefix in ("texts/", "search/"):
        assert rules[prefix]["NoncurrentVersionExpiration"]["NoncurrentDays"] <= 7


def test_the_dashboard_is_a_grid_without_gaps_whose_rows_have_ids_of_their_own(data: Template) -> None:
    body = json.loads(data["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"])
    places = [(widget["x"], widget["y"], widget["width"], widget["height"]) for widget in body["widgets"]]
    assert places == [(8 * (i % 3), 6 * (i // 3), 8, 6) for i in range(len(places))]
    rows = [row for widget in body["widgets"] for row in widget["properties"]["metrics"]]
    ids = [row[0]["id"] for row in rows if isinstance(row[0], dict)]
    assert ids
    assert len(ids) == len(set(ids))


def test_what_holds_data_outlives_its_stack(data: Template) -> None:
    for name in ("Table", "Bucket"):
        resource = data["Resources"][name]
        assert resource["DeletionPolicy"] == resource["UpdateReplacePolicy"] == "Retain"


IMAGES = ("Ocr", "Media", "Analysis")


@pytest.mark.parametrize("name", IMAGES)
def test_what_belongs_to_an_image_is_made_only_where_the_image_is_given(
    functions: Template, name: str
) -> None:
    condition = f"Has{name}Image"
    assert functions["Conditions"][condition] == {
        "Fn::Not": [{"Fn::Equals": [{"Ref": f"{name}ImageUri"}, ""]}]
    }
    assert functions["Parameters"][f"{name}ImageUri"]["Default"] == ""
    for resource in (name, f"{name}Role", f"{name}Logs"):
        assert functions["Resources"][resource]["Condition"] == condition
    assert functions["Resources"][name]["Properties"]["PackageType"] == "Image"


def test_the_functions_are_told_which_queues_are_served(functions: Template) -> None:
    """Each entry is a queue's own name, under the condition of the function that works on it."""
    separator, entries = functions["Globals"]["Function"]["Environment"]["Variables"][
        "SYNCBOARD_SERVED_QUEUES"
    ]["Fn::Join"]
    assert separator == ","
    told = [entry if isinstance(entry, str) else tuple(entry["Fn::If"][:2]) for entry in entries]
    assert told == [
        "uploads",
        "low_priority",
        ("HasOcrImage", "uploads-ocr"),
        ("HasMediaImage", "uploads-media"),
        ("HasAnalysisImage", "analysis"),
    ]
    assert {entry if isinstance(entry, str) else entry[1] for entry in told} == set(QUEUES) - {"intake"}


def test_the_api_gets_no_layer_and_the_secret_and_the_workers_the_other_way_round(
    functions: Template,
) -> None:
    api, uploads = (functions["Resources"][name]["Properties"] for name in ("APIHandler", "Uploads"))
    # But for what verifies an identity provider's signatures, where there is one.
    assert api.pop("Layers")["Fn::If"][0] == "HasIdentityProvider"
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
    assert places(queue_checks.queues_have_dead_letters(data, MAX_ATTEMPTS)) == ["UploadsQueue", "UploadsDlq"]


def test_a_dead_letter_queue_that_forgets_earlier_is_found(data: Template) -> None:
    data["Resources"]["AnalysisDlq"]["Properties"]["MessageRetentionPeriod"] = 3600
    assert places(queue_checks.queues_have_dead_letters(data, MAX_ATTEMPTS)) == ["AnalysisQueue"]


def test_a_queue_that_gives_up_before_the_engine_is_found(data: Template) -> None:
    data["Resources"]["IntakeQueue"]["Properties"]["RedrivePolicy"]["maxReceiveCount"] = MAX_ATTEMPTS + 3
    assert places(queue_checks.queues_have_dead_letters(data, MAX_ATTEMPTS)) == ["IntakeQueue"]


def test_a_visibility_under_six_time_limits_is_found(data: Template, functions: Template) -> None:
    functions["Resources"]["Uploads"]["Properties"]["Timeout"] = 661
    (finding,) = queue_checks.visibility_covers_timeouts(data, functions)
    assert finding.where == "Uploads"
    assert "3960 s" in finding.message


@pytest.mark.parametrize(("function", "seconds"), [("LowPriority", 659), ("Media", 899)])
def test_a_function_that_ends_with_its_job_is_found(functions: Template, function: str, seconds: int) -> None:
    functions["Resources"][function]["Properties"]["Timeout"] = seconds
    assert places(function_checks.time_limits_are_outlived(functions, checks.hard_seconds())) == [function]


def test_a_queue_that_nobody_works_on_and_one_that_two_work_on_are_found(
    data: Template, functions: Template
) -> None:
    event_of(functions, "Ocr")["Queue"] = event_of(functions, "Uploads")["Queue"]
    found = queue_checks.queues_have_consumers(data, functions)
    assert [str(finding).partition(" functions")[0] for finding in found] == [
        "UploadsQueue: 2",
        "UploadsOcrQueue: 0",
    ]


@pytest.mark.parametrize(
    ("alarm", "queue"), [("UploadsWaitAlarm", "UploadsQueue"), ("UploadsDeadLetterAlarm", "UploadsDlq")]
)
def test_a_queue_without_an_alarm_is_found(data: Template, alarm: str, queue: str) -> None:
    del data["Resources"][alarm]
    assert places(queue_checks.queues_have_alarms(data)) == [queue]


def test_a_batch_of_heavy_jobs_is_found(functions: Template) -> None:
    event_of(functions, "Media")["BatchSize"] = 2
    assert places(function_checks.heavy_jobs_come_alone(functions, ["UploadsMediaQueueArn"])) == ["Media"]
    del event_of(functions, "Media")["BatchSize"]  # ten, then
    assert places(function_checks.heavy_jobs_come_alone(functions, ["UploadsMediaQueueArn"])) == ["Media"]


def test_a_cost_by_the_wrong_memory_is_found(functions: Template) -> None:
    functions["Resources"]["Ocr"]["Properties"]["MemorySize"] = 2048
    assert places(function_checks.costs_know_the_memory(functions)) == ["Ocr"]


def test_logs_that_never_expire_are_found(functions: Template) -> None:
    del functions["Resources"]["OcrLogs"]["Properties"]["RetentionInDays"]
    del functions["Resources"]["Sweeper"]["Properties"]["LoggingConfig"]
    assert places(function_checks.logs_expire(functions)) == ["OcrLogs", "Sweeper"]


def with_dashboard(data: Template, old: str, new: str) -> Template:
    body = data["Resources"]["Dashboard"]["Properties"]["DashboardBody"]
    assert old in body["Fn::Sub"]
    body["Fn::Sub"] = body["Fn::Sub"].replace(old, new)
    return data


def test_a_metric_that_nobody_emits_is_found_on_the_dashboard(data: Template) -> None:
    broken = with_dashboard(data, r"MetricName=\"RunTime\"", r"MetricName=\"Runtime\"")
    found = metric_checks.metrics_are_emitted(broken)
    assert places(found) == ["Dashboard: Run time, ms"] * 3
    assert "nobody emits the metric Runtime" in found[0].message


def test_a_metric_with_other_dimensions_is_found(data: Template) -> None:
    broken = with_dashboard(data, "{SyncBoard,stage,task,state}", "{SyncBoard,stage,state}")
    broken["Resources"]["FailureRateAlarm"]["Properties"]["Dimensions"][0]["Name"] = "Stage"
    assert places(metric_checks.metrics_are_emitted(broken)) == [
        "FailureRateAlarm",
        "Dashboard: Jobs by task and state, in 5 minutes",
    ]


def test_a_metric_that_nobody_looks_at_is_found(data: Template) -> None:
    broken = with_dashboard(data, '"DeadLetters"', '"LostRuns"')
    assert places(metric_checks.metrics_are_shown(broken)) == ["DeadLetters"]


def test_an_event_of_an_unknown_queue_is_found(data: Template, functions: Template) -> None:
    event_of(functions, "Intake")["Queue"] = "arn:aws:sqs:us-east-1:000000000000:elsewhere"
    assert places(queue_checks.visibility_covers_timeouts(data, functions)) == ["Intake"]


def test_an_event_that_would_delete_failed_records_is_found(functions: Template) -> None:
    del event_of(functions, "LowPriority")["FunctionResponseTypes"]
    assert places(function_checks.failed_records_come_back_alone(functions)) == ["LowPriority"]


@pytest.mark.parametrize("concurrency", [0, 1, {"Ref": "Concurrency"}])
def test_a_concurrency_that_lambda_or_the_emulator_refuses_is_found(
    functions: Template, concurrency: Any
) -> None:
    event_of(functions, "Uploads")["ScalingConfig"]["MaximumConcurrency"] = concurrency
    assert places(function_checks.concurrency_is_possible(functions)) == ["Uploads"]


@pytest.mark.parametrize("variable", ["SYNCBOARD_TABLE", "SYNCBOARD_QUEUE_UPLOADS_OCR"])
def test_a_setting_that_no_template_sets_is_found(functions: Template, variable: str) -> None:
    del functions["Globals"]["Function"]["Environment"]["Variables"][variable]
    assert places(function_checks.settings_are_set(functions)) == [variable]


def test_a_variable_that_nobody_reads_is_found(functions: Template) -> None:
    functions["Globals"]["Function"]["Environment"]["Variables"]["SYNCBOARD_BUKCET"] = "typo"
    assert places(function_checks.settings_are_set(functions)) == ["SYNCBOARD_BUKCET"]


def test_an_import_of_what_is_not_exported_is_found(data: Template, functions: Template) -> None:
    del data["Outputs"]["TableArn"]["Export"]
    found = merge_checks.imports_exist(data, functions, templates.policies())
    assert places(found) == ["functions", *sorted(templates.policies())]
    assert all("TableArn" in finding.message for finding in found)


def test_two_functions_merged_into_one_value_are_found(functions: Template) -> None:
    event_of(functions, "Intake")["Queue"]["Fn::ImportValue"] = "x-IntakeQueueArn"
    assert places(merge_checks.intrinsics_stand_alone(functions)) == ["Fn::ImportValue, Fn::Sub"]


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
    assert places(merge_checks.resources_are_whole(packaged)) == ["Gone", "There.Old"]


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
    assert places(policy_checks.policies_name_what_they_allow(broken)) == ["policy-x.json S"]
    assert policy_checks.policies_name_what_they_allow(broken, {("policy-x.json", "S"): "because"}) == []


@pytest.mark.parametrize(
    "resource",
    [
        {"Fn::Sub": ["${Arn}/uploads/*", {"Arn": "x"}]},
        {"Fn::Sub": "arn:aws:logs:us-east-1:1:log-group:/syncboard/dev/api:*"},
        {"Ref": "JwtSecretArn"},
    ],
)
def test_a_prefix_and_a_log_group_are_no_wildcards(resource: dict[str, Any]) -> None:
    assert policy_checks.policies_name_what_they_allow(policy(Action="s3:GetObject", Resource=resource)) == []


def test_a_policy_of_aws_is_found_unless_a_reason_is_written(functions: Template) -> None:
    borrowed = "arn:aws:iam::aws:policy/AmazonS3FullAccess"
    functions["Resources"]["OcrRole"]["Properties"]["ManagedPolicyArns"] = [borrowed]
    functions["Resources"]["Media"]["Properties"]["Policies"] = ["AWSLambdaExecute"]
    assert places(policy_checks.no_policy_is_borrowed(functions)) == ["OcrRole", "Media"]
    reasons = {**policy_checks.MANAGED_REASONS, ("OcrRole", "AmazonS3FullAccess"): "because"}
    assert places(policy_checks.no_policy_is_borrowed(functions, reasons)) == ["Media"]


def test_uploads_that_may_expire_before_their_jobs_are_found(data: Template) -> None:
    data["Parameters"]["UploadDays"]["MinValue"] = 30
    assert places(queue_checks.uploads_outlive_jobs(data, Settings().job_ttl_seconds)) == ["UploadDays"]


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


def test_a_key_that_is_there_twice_is_refused_and_one_that_a_merge_brings_is_not() -> None:
    with pytest.raises(yaml.YAMLError, match="Conditions is there twice"):
        templates.parse("Conditions: {a: 1}\nResources: {}\nConditions: {b: 2}\n")
    assert templates.parse("x: &x {a: 1, b: 2}\ny:\n  <<: *x\n  b: 3\n")["y"] == {"a": 1, "b": 3}


def test_a_template_is_written_without_aliases_and_reads_back_the_same(tmp_path: Path) -> None:
    shared = {"Ref": "X"}
    path = tmp_path / "t.yaml"
    templates.write({"b": shared, "a": shared}, path)
    assert "&" not in path.read_text(encoding="utf-8")
    assert templates.read(path) == {"b": shared, "a": shared}


@pytest.mark.parametrize("name", [f"{image}Role" for image in IMAGES])
def test_a_function_in_an_image_may_do_what_the_one_in_the_zip_may(functions: Template, name: str) -> None:
    """The same code runs in both, on another queue and into another log."""
    own = {"WriteLogs", "TakeMessages"}
    zipped, image = (
        {entry["Sid"]: as_sets(entry) for entry in policy_checks.statements(document)}
        for document in (
            templates.policies()["policy-uploads.json"],
            templates.policies_within(functions)[name],
        )
    )
    assert {sid: entry for sid, entry in image.items() if sid not in own} == {
        sid: entry for sid, entry in zipped.items() if sid not in own
    }
    assert own < image.keys()


def as_sets(statement: dict[str, Any]) -> tuple[set[str], set[str]]:
    """Return actions and resources of a statement, in no order."""
    actions, resources = statement["Action"], statement["Resource"]
    return (
        set(actions if isinstance(actions, list) else [actions]),
        {
            json.dumps(entry, sort_keys=True)
            for entry in (resources if isinstance(resources, list) else [resources])
        },
    )


@pytest.mark.parametrize("name", ["api", "intake", "uploads", "low_priority", "sweeper"])
def test_whoever_changes_jobs_may_query_every_index_of_jobs(name: str) -> None:
    """Every end of a job lets waiting ones in, which are found by an index."""
    table = templates.read(ROOT / "infra" / "data.yaml")["Resources"]["Table"]["Properties"]
    indexes = {index["IndexName"] for index in table["GlobalSecondaryIndexes"]}
    if name not in ("api", "low_priority"):
        indexes.remove("by_cluster")  # documents of a topic are for those who show it or take it apart
    policy = json.loads((ROOT / ".chalice" / f"policy-{name}.json").read_text(encoding="utf-8"))
    (statement,) = [entry for entry in policy_checks.statements(policy) if entry["Sid"] == "QueryIndexes"]
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
