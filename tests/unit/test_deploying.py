"""The parts of a deployment that need no stack: secret, artefacts, orders, what is kept when a stage goes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from moto import mock_aws

from infra import bearer, deploy, destroy, secret, smoke, templates
from infra.artefacts import Artefacts, pointed
from infra.cloud import Cloud
from infra.deploy import DeployError, Order
from local import stack_template
from syncboard.client import Client

ACCOUNT = "123456789012"  # moto's


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with mock_aws():
        yield Cloud("eu-central-1")


# --- Secret -------------------------------------------------------------------------------------------------


def test_a_secret_is_made_once_and_is_long_enough(cloud: Cloud) -> None:
    arn = secret.ensure(cloud, "dev")
    value = secret.read(cloud, arn)
    assert len(value) >= 64
    assert secret.ensure(cloud, "dev") == arn
    assert secret.read(cloud, arn) == value
    assert secret.ensure(cloud, "prod") != arn


def test_a_deleted_secret_comes_back_with_its_value(cloud: Cloud) -> None:
    arn = secret.ensure(cloud, "dev")
    value = secret.read(cloud, arn)
    secret.delete(cloud, "dev")
    assert secret.ensure(cloud, "dev") == arn
    assert secret.read(cloud, arn) == value
    secret.delete(cloud, "nowhere")  # no error


# --- Artefacts ----------------------------------------------------------------------------------------------


def test_the_bucket_of_artefacts_is_private_and_by_tls_only(cloud: Cloud) -> None:
    artefacts = Artefacts(cloud, ACCOUNT)
    artefacts.ensure()
    artefacts.ensure()
    block = cloud.s3.get_public_access_block(Bucket=artefacts.bucket)["PublicAccessBlockConfiguration"]
    assert all(block.values())
    (statement,) = json.loads(cloud.s3.get_bucket_policy(Bucket=artefacts.bucket)["Policy"])["Statement"]
    assert statement["Effect"] == "Deny"
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_the_same_content_is_uploaded_once_and_other_content_beside_it(cloud: Cloud, tmp_path: Path) -> None:
    artefacts = Artefacts(cloud, ACCOUNT)
    artefacts.ensure()
    cloud.s3.delete_bucket_policy(Bucket=artefacts.bucket)  # moto denies whatever its condition
    path = tmp_path / "deployment.zip"
    addresses = []
    for content in (b"one", b"one", b"two"):
        path.write_bytes(content)
        addresses.append(artefacts.upload(path))
    assert addresses[0] == addresses[1] != addresses[2]
    assert len(cloud.s3.list_objects_v2(Bucket=artefacts.bucket)["Contents"]) == 2
    assert artefacts.url(addresses[0]).startswith(
        f"https://{artefacts.bucket}.s3.eu-central-1.amazonaws.com/deployment/"
    )


def test_a_template_points_to_what_was_uploaded_and_stays_as_it_was() -> None:
    template = {"Resources": {"F": {"Properties": {"CodeUri": "./deployment.zip"}}}}
    moved = pointed(template, {"deployment.zip": "s3://b/k"})
    assert moved["Resources"]["F"]["Properties"]["CodeUri"] == "s3://b/k"
    assert template["Resources"]["F"]["Properties"]["CodeUri"] == "./deployment.zip"


def test_what_outlives_its_stack_is_named_literally_and_nothing_else() -> None:
    template = templates.read(templates.DATA)
    named = stack_template.named(template, "prod", ACCOUNT, "eu-central-1")["Resources"]
    assert named["Table"]["Properties"]["TableName"] == "syncboard-prod"
    assert named["Bucket"]["Properties"]["BucketName"] == f"syncboard-prod-{ACCOUNT}-eu-central-1"
    assert named["UploadsQueue"] == template["Resources"]["UploadsQueue"]


# --- Orders -------------------------------------------------------------------------------------------------


def order(*arguments: str) -> Order:
    return deploy._order(deploy._arguments(["--stage", "dev", *arguments]))


def test_parameters_and_images_are_taken_from_the_command_line() -> None:
    made = order("--parameter", "LogDays=7", "--parameter", "CorsOrigin=https://a=b", "--image", "ocr=uri")
    assert made.parameters == {"LogDays": "7", "CorsOrigin": "https://a=b"}
    assert made.image_uris == {"OcrImageUri": "uri"}


def test_a_parameter_without_a_value_is_refused() -> None:
    with pytest.raises(DeployError, match="LogDays: write NAME=VALUE"):
        order("--parameter", "LogDays")


def test_an_identity_provider_takes_the_secrets_place(cloud: Cloud) -> None:
    provider = Order(stage="dev", parameters={"JwksUrl": "https://x/jwks.json"})
    assert deploy._tokens(cloud, provider, {}) == {}
    # One that was deployed before stays, and so does a secret.
    assert deploy._tokens(cloud, Order(stage="dev"), {"JwksUrl": "https://x/jwks.json"}) == {}
    assert deploy._tokens(cloud, Order(stage="dev"), {"JwtSecretArn": "arn"}) == {"JwtSecretArn": "arn"}
    made = deploy._tokens(cloud, Order(stage="dev"), {})
    assert secret.read(cloud, made["JwtSecretArn"])


def test_without_credentials_there_is_a_message_and_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    assert deploy.main(["--stage", "dev", "--region", "us-east-1"]) == 1
    assert "not deployed: Unable to locate credentials" in capsys.readouterr().err


# --- Smoke test ---------------------------------------------------------------------------------------------


STAGE = {"JwtIssuer": "me", "JwtAudience": "you,they", "JwksUrl": ""}


def with_stage(monkeypatch: pytest.MonkeyPatch, values: dict[str, str]) -> None:
    monkeypatch.setattr("infra.bearer.Stacks.parameters", lambda _self, _name: values)


def test_a_stages_token_is_one_that_its_api_takes(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    arn = secret.ensure(cloud, "dev")
    with_stage(monkeypatch, {**STAGE, "JwtSecretArn": arn})
    token = bearer.of_stage(cloud, "dev", user="ann", seconds=60)
    key = secret.read(cloud, arn)
    claims = jwt.decode(token, key, algorithms=["HS256"], audience="you", issuer="me")
    assert (claims["sub"], claims["exp"] - claims["iat"]) == ("ann", 60)


@pytest.mark.parametrize(
    ("values", "user", "message"),
    [
        ({}, "ann", "is not deployed"),
        ({**STAGE, "JwtSecretArn": ""}, "ann", "come from its identity provider"),
        ({**STAGE, "JwtSecretArn": "arn", "JwksUrl": "https://x"}, "ann", "come from its identity provider"),
        ({**STAGE, "JwtSecretArn": "arn"}, "no name", "a user name has"),
    ],
)
def test_where_there_is_no_token_it_is_said(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    values: dict[str, str],
    user: str,
    message: str,
) -> None:
    with_stage(monkeypatch, values)
    assert bearer.main(["--stage", "dev", "--region", "us-east-1", "--user", user]) == 1
    assert message in capsys.readouterr().err


def test_a_stage_that_does_not_answer_as_it_should_is_told_with_the_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/health":
            return httpx.Response(200, json={"capabilities": {"text": {"state": "ready", "cause": ""}}})
        return httpx.Response(403, json={"error": {"type": "forbidden", "message": "no", "retryable": False}})

    monkeypatch.setattr(
        smoke, "Client", lambda url, bearer: Client(url, bearer, transport=httpx.MockTransport(answer))
    )
    said: list[str] = []
    with pytest.raises(smoke.SmokeTestFailed, match="uploading a file: forbidden: no"):
        smoke.run("http://x/", "token", said.append)
    assert said == ["  text       ready"]


# --- Destroying ---------------------------------------------------------------------------------------------


class NoStacks:
    """Stacks that are gone as soon as they should be."""

    def __init__(self, _cloud: Cloud, report: Callable[[str], None]) -> None:
        self.report = report

    def delete(self, name: str) -> None:
        self.report(f"gone: {name}")


@pytest.fixture
def stage(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    """A stage's data: a bucket with two versions and a deletion, a table, a secret."""
    monkeypatch.setattr(destroy, "Stacks", NoStacks)
    create: Any = cloud.s3.create_bucket
    bucket = f"syncboard-dev-{ACCOUNT}-eu-central-1"
    create(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    cloud.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    for body in (b"1", b"2"):
        cloud.s3.put_object(Bucket=bucket, Key="texts/a", Body=body)
    cloud.s3.delete_object(Bucket=bucket, Key="texts/a")
    cloud.dynamodb.create_table(
        TableName="syncboard-dev",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    secret.ensure(cloud, "dev")
    return cloud


def test_data_is_kept_unless_its_deletion_is_asked_for(stage: Cloud) -> None:
    said: list[str] = []
    destroy.destroy(stage, "dev", said.append)
    assert stage.dynamodb.list_tables()["TableNames"] == ["syncboard-dev"]
    assert len(stage.s3.list_buckets()["Buckets"]) == 1
    # The functions first: they import what the data stack exports.
    assert [line for line in said if "gone" in line] == ["gone: syncboard-dev", "gone: syncboard-dev-data"]
    assert said[-1].startswith("kept: table syncboard-dev")


def test_deleted_data_is_gone_in_every_version_and_deleting_again_is_no_error(stage: Cloud) -> None:
    said: list[str] = []
    for _ in range(2):
        destroy.destroy(stage, "dev", said.append, delete_data=True)
    assert stage.dynamodb.list_tables()["TableNames"] == []
    assert stage.s3.list_buckets()["Buckets"] == []
    assert "syncboard-dev-123456789012-eu-central-1: 3 versions deleted" in said


def test_another_name_typed_destroys_nothing(stage: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--stage", "dev", "--region", "eu-central-1", "--delete-data"]
    assert destroy.main(arguments, ask=lambda _: "prod") == 1
    assert "AND ALL DATA" in capsys.readouterr().out
    assert stage.dynamodb.list_tables()["TableNames"] == ["syncboard-dev"]
