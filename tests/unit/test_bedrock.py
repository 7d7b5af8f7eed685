"""One call of a model: what is sent, and what its answers and errors are made into."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from botocore.stub import Stubber

from chalicelib.aws import bedrock
from chalicelib.errors import ModelBusy, ModelRefused
from tests.unit.models import CONCEPTS, CONVERSE, MODEL, asking, chatted, replaying, said
from tests.webserver import Web, reply, serving, silent

SCHEMA: dict[str, Any] = {"type": "object", "properties": {"concepts": {"type": "array"}}}


def ask() -> bedrock.ModelAnswer:
    return bedrock.ask(
        system="Catalogue it.",
        text="A text.",
        tool="catalogue_document",
        description="Records it.",
        schema=SCHEMA,
        max_tokens=100,
        seconds=0.3,
    )


@pytest.fixture
def stub() -> Iterator[Stubber]:
    with replaying() as stubber:
        yield stubber


@pytest.fixture
def endpoint() -> Iterator[Web]:
    with serving() as web, asking(AI_ENDPOINT_URL=web.url("").rstrip("/")):
        yield web


def test_the_request_forces_one_tool_whose_schema_is_the_answer(stub: Stubber) -> None:
    expected = {
        "modelId": MODEL,
        "system": [{"text": "Catalogue it."}],
        "messages": [{"role": "user", "content": [{"text": "A text."}]}],
        "inferenceConfig": {"maxTokens": 100, "temperature": 0.0},
        "toolConfig": {
            "tools": [
                {
                    "toolSpec": {
                        "name": "catalogue_document",
                        "description": "Records it.",
                        "inputSchema": {"json": SCHEMA},
                    }
                }
            ],
            "toolChoice": {"tool": {"name": "catalogue_document"}},
        },
    }
    stub.add_response("converse", said(CONCEPTS), expected)
    answer = ask()
    assert answer == bedrock.ModelAnswer(value=CONCEPTS, stop="tool_use", input_tokens=1200, output_tokens=80)


@pytest.mark.parametrize(
    ("code", "status", "words"),
    [
        ("ThrottlingException", 429, "throttled"),
        ("ModelTimeoutException", 408, "the model took too long"),
        ("ServiceUnavailableException", 503, "the service is unavailable"),
        ("ModelNotReadyException", 429, "the model is not ready"),
        ("InternalServerException", 500, "the service failed"),
        ("SomethingNewException", 529, "SomethingNewException"),
    ],
)
def test_what_may_pass_is_busy(stub: Stubber, code: str, status: int, words: str) -> None:
    stub.add_client_error("converse", code, "Slow down, 123456789012.", status)
    with pytest.raises(ModelBusy) as busy:
        ask()
    assert busy.value.message == words
    assert "Slow down" in busy.value.details["cause"]


@pytest.mark.parametrize(
    ("code", "status", "words"),
    [
        ("AccessDeniedException", 403, "access to the model is denied, AccessDeniedException"),
        ("ValidationException", 400, "the model does not take such a request, ValidationException"),
        ("ResourceNotFoundException", 404, "there is no such model, ResourceNotFoundException"),
        ("ServiceQuotaExceededException", 400, "ServiceQuotaExceededException"),
    ],
)
def test_what_stays_is_refused_without_telling_the_account(
    stub: Stubber, code: str, status: int, words: str
) -> None:
    stub.add_client_error("converse", code, "role arn:aws:iam::123456789012:role/x", status)
    with pytest.raises(ModelRefused) as refused:
        ask()
    assert refused.value.message == words
    assert "123456789012" in refused.value.details["cause"]


def test_an_answer_without_the_tool_has_no_value(stub: Stubber) -> None:
    for answer in (chatted("No."), said(CONCEPTS, tool="another")):
        stub.add_response("converse", answer)
        assert ask().value is None


def test_a_model_that_takes_no_temperature_is_sent_none() -> None:
    with asking(AI_TEMPERATURE="null"), Stubber(bedrock._client(os.getpid(), 0.3)) as stub:
        stub.add_response("converse", said(CONCEPTS))
        ask()


def test_the_bytes_on_the_wire_are_converse_s(endpoint: Web) -> None:
    body = json.dumps(said(CONCEPTS)).encode()
    endpoint.answers[CONVERSE] = reply(body=body, kind="application/json")
    assert ask().value == CONCEPTS
    (asked,) = endpoint.asked
    assert asked.method == "POST"
    assert asked.headers["Authorization"].startswith("AWS4-HMAC-SHA256")
    assert json.loads(asked.body)["toolConfig"]["toolChoice"] == {"tool": {"name": "catalogue_document"}}


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"output": null}', b"<html>busy</html>"])
def test_an_answer_that_is_none_does_not_break_anything(endpoint: Web, body: bytes) -> None:
    endpoint.answers[CONVERSE] = reply(body=body, kind="application/json")
    with suppress(ModelBusy):
        assert ask().value is None


def test_a_throttled_answer_is_not_tried_again_by_the_sdk(endpoint: Web) -> None:
    endpoint.answers[CONVERSE] = reply(
        429, b'{"message": "slow"}', "application/json", X_Amzn_ErrorType="ThrottlingException"
    )
    with pytest.raises(ModelBusy, match="throttled"):
        ask()
    assert len(endpoint.asked) == 1


def test_a_model_that_never_answers_is_busy(endpoint: Web) -> None:
    endpoint.answers[CONVERSE] = silent
    with pytest.raises(ModelBusy, match="no answer"):
        ask()


def test_a_profile_that_does_not_exist_is_a_refusal() -> None:
    with asking(AI_PROFILE="no-such-profile"), pytest.raises(ModelRefused, match="ProfileNotFound"):
        ask()


def test_an_emulator_s_address_is_not_bedrock_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with asking(AI_REGION="eu-central-1"):
        address = bedrock._client(os.getpid(), 1.0).meta.endpoint_url
    assert address == "https://bedrock-runtime.eu-central-1.amazonaws.com"
