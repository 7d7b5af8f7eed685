"""A language model for tests: answers as Bedrock's Converse gives them, and settings that have it asked."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import pytest
from botocore.stub import Stubber

from chalicelib.aws import bedrock
from tests.caches import forget

MODEL = "amazon.nova-lite-v1:0"
CONVERSE = f"/model/{MODEL.replace(':', '%3A')}/converse"
CONCEPTS = {
    "concepts": [
        {"name": "sourdough", "category": "concept", "confidence": 0.9},
        {"name": "Rust", "category": "language", "confidence": 0.7},
    ],
    "primary_topic": "sourdough",
    "skill_level": "beginner",
}


def said(value: Any, *, tool: str = "catalogue_document", stop: str = "tool_use") -> dict[str, Any]:
    """Return Converse's answer with one tool call."""
    return {
        "output": {
            "message": {
                "role": "assistant",
                "content": [
                    {"text": "I will call the tool."},
                    {"toolUse": {"toolUseId": "t1", "name": tool, "input": value}},
                ],
            }
        },
        "stopReason": stop,
        "usage": {"inputTokens": 1200, "outputTokens": 80, "totalTokens": 1280},
        "metrics": {"latencyMs": 700},
    }


def chatted(text: str, *, stop: str = "end_turn") -> dict[str, Any]:
    """Return Converse's answer without a tool call."""
    answer = said({}, stop=stop)
    answer["output"]["message"]["content"] = [{"text": text}]
    return answer


@contextmanager
def asking(**more: str) -> Iterator[None]:
    """Have a model asked for the time of the block, without pauses between tries; `AI_SECONDS="1"` and the like."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SYNCBOARD_AI_PROVIDER", "bedrock")
        for name, value in more.items():
            patch.setenv(f"SYNCBOARD_{name}", value)
        patch.setattr("chalicelib.tasks.model._BACKOFF", 0.0)
        forget()
        yield
    forget()


@contextmanager
def replaying() -> Iterator[Stubber]:
    """Answer calls from a list, each checked against AWS's own model of the service."""
    with asking(), pytest.MonkeyPatch.context() as patch, Stubber(_client()) as stub:
        patch.setattr(bedrock, "_client", lambda _pid, _seconds: _client())
        yield stub


@lru_cache(maxsize=1)
def _client() -> Any:
    """Return a client that is made once: reading AWS's model of the service takes its time."""
    return bedrock._client(os.getpid(), 1.0)
