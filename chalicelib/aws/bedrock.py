"""Amazon Bedrock: one question to a model, which has to answer by calling one tool.

Converse with `toolChoice: {tool: …}`: the tool's JSON schema is the shape of the answer. Anthropic's and Amazon's
models (Claude 3 and later, Nova) can be made to call a certain tool; another one refuses, and that is said. One call
and no retry: who asks knows how much time there is.
"""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Any, Final

import boto3
import msgspec
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    NoRegionError,
    ParamValidationError,
    ProfileNotFound,
)

from chalicelib import settings
from chalicelib.errors import ModelBusy, ModelRefused

# What may be over in a moment, as people say it.
_BUSY: Final = {
    "ThrottlingException": "throttled",
    "ModelTimeoutException": "the model took too long",
    "ServiceUnavailableException": "the service is unavailable",
    "ModelNotReadyException": "the model is not ready",
    "InternalServerException": "the service failed",
    "ModelErrorException": "the model failed",
}
# What stays so until somebody changes something, as people say it.
_REFUSED: Final = {
    "AccessDeniedException": "access to the model is denied",
    "ResourceNotFoundException": "there is no such model",
    "ValidationException": "the model does not take such a request",
    "ExpiredTokenException": "the credentials are no longer valid",
    "UnrecognizedClientException": "the credentials are not valid",
    "InvalidSignatureException": "the credentials are not valid",
}


class ModelAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What a model said, unchecked."""

    # Input of the tool call, decoded JSON; None: there was no call of that tool.
    value: Any
    # Why it stopped: tool_use, end_turn, max_tokens, guardrail_intervened, content_filtered, …
    stop: str
    # Tokens that are paid for.
    input_tokens: int
    output_tokens: int


def ask(
    *,
    system: str,
    text: str,
    tool: str,
    description: str,
    schema: dict[str, Any],
    max_tokens: int,
    seconds: float,
) -> ModelAnswer:
    """Have the configured model call `tool` with what `schema` describes.

    `system` are our instructions, `text` is what they are about; an answer is waited for for `seconds`. Raise
    ModelBusy where another try may help, ModelRefused where it can't.
    """
    config = settings.get()
    inference: dict[str, Any] = {"maxTokens": max_tokens}
    if config.ai_temperature is not None:
        inference["temperature"] = config.ai_temperature
    specification = {"name": tool, "description": description, "inputSchema": {"json": schema}}
    try:
        answer = _client(os.getpid(), seconds).converse(
            modelId=config.ai_model,
            system=[{"text": system}],
            messages=[{"role": "user", "content": [{"text": text}]}],
            inferenceConfig=inference,
            toolConfig={
                "tools": [{"toolSpec": specification}],
                "toolChoice": {"tool": {"name": tool}},
            },
        )
    except ClientError as error:
        raise _judged(error) from error
    except (NoCredentialsError, NoRegionError, ParamValidationError, ProfileNotFound) as error:
        raise ModelRefused(_because(type(error).__name__), cause=str(error)) from error
    except BotoCoreError as error:
        raise ModelBusy("no answer", cause=str(error)) from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        # JSON of another shape (something stands between): botocore's parser trips over it.
        raise ModelBusy("no answer", cause=repr(error)) from error
    return _answer(answer, tool)


def _judged(error: ClientError) -> ModelBusy | ModelRefused:
    """Return the error of our tree. AWS's own words name accounts and roles: for the log, not for users."""
    code, cause = error.response["Error"]["Code"], str(error)
    if code in _BUSY:
        return ModelBusy(_BUSY[code], cause=cause)
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400)
    if status in (408, 429) or status >= 500:
        return ModelBusy(code, cause=cause)
    return ModelRefused(_because(code), cause=cause)


def _because(code: str) -> str:
    return f"{_REFUSED[code]}, {code}" if code in _REFUSED else code


def _answer(answer: Any, tool: str) -> ModelAnswer:
    """Take apart what Converse answered; nothing of it is taken for granted but that it is JSON."""
    message = (answer.get("output") or {}).get("message") or {}
    calls = [block["toolUse"] for block in message.get("content") or [] if "toolUse" in block]
    usage = answer.get("usage") or {}
    return ModelAnswer(
        value=next((call.get("input") for call in calls if call.get("name") == tool), None),
        stop=str(answer.get("stopReason", "")),
        input_tokens=int(usage.get("inputTokens") or 0),
        output_tokens=int(usage.get("outputTokens") or 0),
    )


@lru_cache(maxsize=4)
def _client(_pid: int, seconds: float) -> Any:
    """Return this process's client for calls that may take so long.

    An emulator's address and credentials (`AWS_ENDPOINT_URL` and what goes with it) are not for Bedrock: it has an
    address and, for a machine of one's own, a profile by settings of its own.
    """
    given = settings.get()
    config = Config(
        connect_timeout=3,
        read_timeout=seconds,
        retries={"mode": "standard", "total_max_attempts": 1},
        ignore_configured_endpoint_urls=True,  # type: ignore[call-arg]  # the stubs lack it
    )
    session = boto3.session.Session(profile_name=given.ai_profile, region_name=given.ai_region)
    return session.client("bedrock-runtime", endpoint_url=given.ai_endpoint_url, config=config)
