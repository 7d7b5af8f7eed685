"""Asking the language model for a run: kept answers first, a few tries within the time left, the cost counted."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

import msgspec

from chalicelib import settings
from chalicelib.aws import bedrock
from chalicelib.errors import ModelBusy, ModelRefused, ModelUnclear
from chalicelib.jobs.cost import METER
from chalicelib.jobs.run import Run
from chalicelib.knowledge.questions import Question
from chalicelib.library.answers import Answers
from chalicelib.logs import logger

# First backoff in seconds; doubled each time, with full jitter.
_BACKOFF: Final = 1.0
# What a run needs after the model: to do the work without it, and to publish.
_RESERVE_SECONDS: Final = 20.0
# One answer that is not usable may be an accident, two are none.
_UNCLEAR_TRIES: Final = 2
_STOPS: Final = {
    "max_tokens": "it was cut off at the token limit",
    "model_context_window_exceeded": "the question was too long for the model",
    "guardrail_intervened": "a guardrail stopped it",
    "content_filtered": "a content filter stopped it",
}
_AGAIN: Final = "\n\nAn earlier answer could not be used: {cause}. Call the tool once, with all it asks for."

Read = TypeVar("Read")


def is_configured() -> bool:
    """Tell whether a model is to be asked at all."""
    return settings.get().ai_provider == "bedrock"


class Model:
    """The configured model, asked for one run."""

    def __init__(self, run: Run, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self.run = run
        self.answers = Answers(run.table, run.job.owner)
        self._sleep = sleep

    def ask(self, question: Question, read: Callable[[Any], Read]) -> Read:
        """Return what `read` makes of the model's answer, or of the kept one to the same question.

        `read` raises ModelUnclear for an answer that is not usable. Raise ModelBusy, ModelRefused or ModelUnclear:
        none of them may end a job, for everything can be done without a model. They are logged here.
        """
        kept = self.answers.find(question)
        if kept is not None:
            try:
                return read(kept)
            except ModelUnclear:
                logger.warning("kept answer no longer usable", extra={"kind": question.kind})
        try:
            value, found = self._answered(question, read)
        except (ModelBusy, ModelUnclear) as error:
            logger.warning("model not used", extra=_told(question, error))
            raise
        except ModelRefused as error:
            logger.error("model refused", extra=_told(question, error))
            raise
        self.answers.keep(question, value)
        return found

    def _answered(self, question: Question, read: Callable[[Any], Read]) -> tuple[Any, Read]:
        """Ask until there is an answer, the tries are used up or the time is."""
        given = settings.get()
        seconds = given.ai_seconds * (2 if question.long else 1)
        unclear = 0
        for number in range(1, given.ai_tries + 1):
            if self.run.seconds_left() < seconds + _RESERVE_SECONDS:
                raise ModelBusy("no time was left")
            try:
                answer = self._one(question, seconds)
                return answer.value, self._clear(answer, read)
            except ModelBusy as error:
                if number == given.ai_tries:
                    raise
                logger.info("model busy", extra=_told(question, error))
                self._sleep(random.uniform(0, _BACKOFF * 2 ** (number - 1)))  # noqa: S311 (spreads load, guards nothing)
            except ModelUnclear as error:
                unclear += 1
                if unclear == _UNCLEAR_TRIES or number == given.ai_tries:
                    raise
                logger.info("model unclear", extra=_told(question, error))
                again = question.system + _AGAIN.format(cause=error.message)
                question = msgspec.structs.replace(question, system=again)
        raise ModelBusy("no try was allowed")

    def _one(self, question: Question, seconds: float) -> bedrock.ModelAnswer:
        answer = bedrock.ask(
            system=question.system,
            text=question.text,
            tool=question.tool,
            description=question.description,
            schema=question.schema,
            max_tokens=settings.get().ai_max_tokens,
            seconds=seconds,
        )
        METER.add(ai_input_token=answer.input_tokens, ai_output_token=answer.output_tokens)
        return answer

    def _clear(self, answer: bedrock.ModelAnswer, read: Callable[[Any], Read]) -> Read:
        """Read an answer. One that was cut off may look whole and is not."""
        if answer.stop in _STOPS:
            raise ModelUnclear(_STOPS[answer.stop])
        if answer.value is None:
            raise ModelUnclear("it did not call the tool")
        return read(answer.value)


def warning(error: ModelBusy | ModelRefused | ModelUnclear, instead: str) -> str:
    """Say on a job why the model was not used, and what was done instead."""
    if isinstance(error, ModelBusy):
        return f"Amazon Bedrock was not available ({error.message}): {instead}"
    if isinstance(error, ModelRefused):
        return f"Amazon Bedrock refused ({error.message}): {instead}"
    return f"Amazon Bedrock gave no usable answer ({error.message}): {instead}"


def _told(question: Question, error: ModelBusy | ModelRefused | ModelUnclear) -> dict[str, str]:
    cause = error.details.get("cause", "")
    return {"kind": question.kind, "error": error.type, "reason": error.message, "cause": str(cause)[:500]}
