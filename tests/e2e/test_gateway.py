"""The one open port of a running stack, and the emulator's, as an attacker sees them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import boto3
import httpx
import pytest
from botocore.exceptions import ClientError

from tests.stack import GIVEN_ENDPOINT, RunningStack

pytestmark = pytest.mark.e2e

CODE = "def handler(event, context):\n    return {}\n"
LAMBDA_STACK = {
    "Resources": {
        "Function": {
            "Type": "AWS::Lambda::Function",
            "Properties": {
                "FunctionName": "f",
                "Runtime": "python3.11",
                "Handler": "index.handler",
                "Role": "arn:aws:iam::000000000000:role/r",
                "Code": {"ZipFile": CODE},
            },
        },
        "Call": {
            "Type": "Custom::Call",
            "Properties": {"ServiceToken": {"Fn::GetAtt": ["Function", "Arn"]}},
        },
    }
}
CREATE = {
    "Action": "CreateStack",
    "Version": "2010-05-15",
    "StackName": "x",
    "TemplateBody": json.dumps(LAMBDA_STACK),
}


def environment(stack: RunningStack) -> dict[str, str]:
    note: dict[str, dict[str, str]] = json.loads((stack.data / "stack.json").read_text())
    return note["environment"]


@pytest.fixture
def endpoint(stack: RunningStack) -> str:
    return environment(stack)["AWS_ENDPOINT_URL"]


@pytest.fixture
def aws(endpoint: str) -> Callable[[str], Any]:
    create: Any = boto3.session.Session("test", "test", region_name="us-east-1").client
    return lambda service: create(service, endpoint_url=endpoint)


@pytest.fixture
def ticket(stack: RunningStack) -> dict[str, Any]:
    """A presigned form of the API."""
    headers = {"Authorization": f"Bearer {stack.token}"}
    answer = httpx.post(f"{stack.url}/uploads", json={"filename": "a.txt", "size": 40}, headers=headers)
    form: dict[str, Any] = answer.json()["upload"]
    return form


def keys(stack: RunningStack, aws: Callable[[str], Any], prefix: str) -> list[str]:
    listed = aws("s3").list_objects_v2(Bucket=environment(stack)["SYNCBOARD_BUCKET"], Prefix=prefix)
    return [entry["Key"] for entry in listed.get("Contents", [])]


def test_a_signed_form_is_taken_and_an_altered_one_leaves_nothing(
    stack: RunningStack, aws: Callable[[str], Any], ticket: dict[str, Any]
) -> None:
    fields, file = ticket["fields"], {"file": ("a.txt", b"some words")}
    for altered in (
        {**fields, "key": "texts/evil/1.txt"},
        {**fields, "x-amz-signature": "0" * 64},
        {**fields, "acl": "public-read"},
        {"key": "texts/evil/1.txt"},
        {"key": fields["key"]},
    ):
        answer = httpx.post(ticket["url"], data=altered, files=file)
        assert answer.status_code in (400, 403)
        assert answer.json()["error"]["message"]
    assert keys(stack, aws, "texts/evil") == keys(stack, aws, fields["key"]) == []
    assert httpx.post(ticket["url"], data=fields, files=file).is_success
    assert keys(stack, aws, fields["key"]) == [fields["key"]]


def test_a_file_larger_than_its_form_says_is_refused(ticket: dict[str, Any]) -> None:
    answer = httpx.post(ticket["url"], data=ticket["fields"], files={"file": b"x" * 41})
    assert answer.status_code == 400
    assert "EntityTooLarge" in answer.text


def test_a_form_body_of_another_service_reaches_nobody(
    stack: RunningStack, aws: Callable[[str], Any], ticket: dict[str, Any]
) -> None:
    for headers in ({}, {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}):
        assert httpx.post(ticket["url"], data=CREATE, headers=headers).status_code in (400, 403)
    with pytest.raises(ClientError):
        aws("cloudformation").describe_stacks(StackName="x")


def test_an_unsigned_link_reads_nothing(
    stack: RunningStack, aws: Callable[[str], Any], ticket: dict[str, Any]
) -> None:
    bucket = environment(stack)["SYNCBOARD_BUCKET"]
    aws("s3").put_object(Bucket=bucket, Key="texts/secret/1/text", Body=b"diary")
    url = f"{stack.url}/_s3/{bucket}/texts/secret/1/text"
    names = {
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": "test/20300101/us-east-1/s3/aws4_request",
        "X-Amz-Date": "20300101T000000Z",
        "X-Amz-Expires": "900",
        "X-Amz-SignedHeaders": "host",
        "X-Amz-Signature": "0" * 64,
    }
    for query in ({}, {"X-Amz-Signature": "1"}, names):
        answer = httpx.get(url, params=query)
        assert answer.status_code in (403, 404)
        assert "diary" not in answer.text


def test_the_port_shows_nothing_else_of_the_bucket(ticket: dict[str, Any]) -> None:
    url = ticket["url"]
    for method, target in (
        ("GET", url),
        ("GET", f"{url}?list-type=2"),
        ("GET", f"{url}/texts/x/y?X-Amz-Signature=a&list-type=2"),
        ("POST", f"{url}?delete"),
        ("PUT", f"{url}/texts/x"),
        ("DELETE", f"{url}/texts/x"),
        ("GET", f"{url}/../"),
    ):
        assert httpx.request(method, target).status_code == 404, (method, target)


@pytest.mark.skipif(GIVEN_ENDPOINT is not None, reason="the emulator is another's")
class TestEmbeddedEmulator:
    """What the emulator's own port gives away."""

    @pytest.mark.parametrize(
        "headers",
        [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Host": "evil.example"}],
    )
    def test_no_web_page_reads_or_writes_it(self, endpoint: str, headers: dict[str, str]) -> None:
        for method in ("GET", "POST", "PUT", "OPTIONS"):
            answer = httpx.request(method, f"{endpoint}/x", headers=headers)
            assert answer.status_code == 403
            assert not [name for name in answer.headers if name.startswith("access-control")]

    def test_its_answers_carry_no_cors_headers(self, endpoint: str) -> None:
        answer = httpx.get(f"{endpoint}/_ministack/health")
        assert answer.is_success
        assert not [name for name in answer.headers if name.startswith("access-control")]
        assert set(answer.json()["services"]) == {"cloudformation", "dynamodb", "monitoring", "s3", "sqs"}

    def test_nobody_empties_it(self, endpoint: str) -> None:
        assert httpx.post(f"{endpoint}/_ministack/reset").status_code == 403

    def test_it_runs_nobodys_code(self, endpoint: str, aws: Callable[[str], Any]) -> None:
        with pytest.raises(ClientError, match="Unrecognized resource types"):
            aws("cloudformation").create_stack(StackName="x", TemplateBody=json.dumps(LAMBDA_STACK))
        with pytest.raises(ClientError):
            aws("lambda").list_functions()
