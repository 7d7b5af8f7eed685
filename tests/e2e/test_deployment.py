"""The data stack deployed to the embedded emulator: twice, after a stop, and after a loss."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from chalicelib.settings import QUEUES
from local.deployment import deploy
from local.emulator import LOCK_FILE, Emulator, EmulatorLostState
from local.environments import ensure_environment
from local.outputs import DeploymentError, Outputs

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """One emulator for the tests that leave it as it is; each deploys a stage of its own."""
    python = ensure_environment("emulator", LOCK_FILE)
    with Emulator(python, tmp_path_factory.mktemp("shared")) as running:
        yield running


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[Emulator]:
    """An emulator of the test's own, to be stopped and damaged."""
    with Emulator(ensure_environment("emulator", LOCK_FILE), tmp_path) as running:
        yield running


def client(service: str, outputs: Outputs) -> Any:
    session = boto3.session.Session("test", "test", region_name=outputs.region)
    create: Any = session.client
    return create(service, endpoint_url=outputs.endpoint_url)


def test_a_deployment_is_what_the_template_says(shared: Emulator) -> None:
    outputs = deploy(shared.endpoint_url, stage="one")
    assert {item.outcome for item in outputs.findings if item.important} <= {"ok", "set"}
    assert outputs.queues.keys() == outputs.dead_letter_queues.keys() == set(QUEUES)

    dynamodb, s3 = client("dynamodb", outputs), client("s3", outputs)
    ttl = dynamodb.describe_time_to_live(TableName=outputs.table)["TimeToLiveDescription"]
    assert (ttl["TimeToLiveStatus"], ttl["AttributeName"]) == ("ENABLED", "expires_at")
    rules = s3.get_bucket_lifecycle_configuration(Bucket=outputs.bucket)["Rules"]
    assert {rule["ID"] for rule in rules} >= {"uploads", "inline"}


def test_an_upload_reaches_the_intake_queue(shared: Emulator) -> None:
    outputs = deploy(shared.endpoint_url, stage="two")
    client("s3", outputs).put_object(Bucket=outputs.bucket, Key="uploads/job/file", Body=b"text")
    sqs = client("sqs", outputs)
    bodies = ""
    for _ in range(5):
        answer = sqs.receive_message(
            QueueUrl=outputs.queues["intake"], MaxNumberOfMessages=10, WaitTimeSeconds=1
        )
        bodies += "".join(message["Body"] for message in answer.get("Messages", []))
        if "uploads/job/file" in bodies:
            break
    assert "uploads/job/file" in bodies


def test_deploying_again_changes_nothing(shared: Emulator) -> None:
    first = deploy(shared.endpoint_url, stage="three")
    client("sqs", first).send_message(QueueUrl=first.queues["uploads"], MessageBody="waiting")
    second = deploy(shared.endpoint_url, stage="three")
    assert "set" not in {item.outcome for item in second.findings}
    assert second.environment == first.environment
    answer = client("sqs", second).receive_message(QueueUrl=second.queues["uploads"], WaitTimeSeconds=0)
    assert [message["Body"] for message in answer["Messages"]] == ["waiting"]


def test_a_changed_parameter_updates_the_stack(shared: Emulator) -> None:
    deploy(shared.endpoint_url, stage="four")
    outputs = deploy(shared.endpoint_url, stage="four", parameters={"UploadDays": "40"})
    rules = client("s3", outputs).get_bucket_lifecycle_configuration(Bucket=outputs.bucket)["Rules"]
    assert {rule["Expiration"]["Days"] for rule in rules if rule["ID"] in ("uploads", "inline")} == {40}


def test_everything_deployed_is_there_after_a_restart_on_another_port(emulator: Emulator) -> None:
    first = deploy(emulator.endpoint_url, stage="e2e", marker=emulator.marker)
    client("sqs", first).send_message(QueueUrl=first.queues["uploads"], MessageBody="waiting")
    emulator.stop()
    (emulator.folder / "port").unlink()
    with Emulator(ensure_environment("emulator", LOCK_FILE), emulator.folder.parent) as moved:
        second = deploy(moved.endpoint_url, stage="e2e", marker=moved.marker)
        assert second.queues["uploads"].startswith(moved.endpoint_url)
        assert "set" not in {item.outcome for item in second.findings}
        answer = client("sqs", second).receive_message(QueueUrl=second.queues["uploads"], WaitTimeSeconds=0)
        assert [message["Body"] for message in answer["Messages"]] == ["waiting"]


def test_an_emulator_that_came_back_empty_is_noticed(emulator: Emulator) -> None:
    deploy(emulator.endpoint_url, stage="e2e", marker=emulator.marker)
    emulator.stop()
    shutil.rmtree(emulator.folder / "state")
    emulator.start()
    with pytest.raises(EmulatorLostState, match="came back without table syncboard-e2e"):
        deploy(emulator.endpoint_url, stage="e2e", marker=emulator.marker)
    deploy(emulator.endpoint_url, stage="e2e", marker=emulator.marker, accept_loss=True)
    deploy(emulator.endpoint_url, stage="e2e", marker=emulator.marker)


BROKEN = """
Resources:
  Queue:
    Type: AWS::SQS::Queue
    Properties:
      QueueName: !Sub syncboard-${Stage}-broken
  Broken:
    Type: AWS::Broken::Thing
Parameters:
  Stage:
    Type: String
"""


def test_a_stack_that_fails_says_why_and_can_be_deployed_afterwards(shared: Emulator, tmp_path: Path) -> None:
    template = tmp_path / "broken.yaml"
    template.write_text(BROKEN)
    with pytest.raises(DeploymentError, match="AWS::Broken::Thing"):
        deploy(shared.endpoint_url, stage="five", template=template)
    deploy(shared.endpoint_url, stage="five")


def test_nobody_at_the_address_is_said_plainly(emulator: Emulator) -> None:
    emulator.stop()
    with pytest.raises(DeploymentError, match="nothing answers at"):
        deploy(emulator.endpoint_url, stage="e2e")
