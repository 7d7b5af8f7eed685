"""Answers of a language model, kept for a while so that nobody pays twice for the same question.

A run that is repeated, a message that comes twice, a file that is ingested anew: same content, same answer. Kept per
owner: shared ones would tell a user, by the time that a job takes and by its cost, that somebody else has the same
text; and what a user deletes would stay. One item each, which the database removes when its time is over.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

import msgspec

from chalicelib import settings
from chalicelib.aws.expressions import Delete, Key, Put
from chalicelib.aws.table import Table, query_all
from chalicelib.errors import Unavailable
from chalicelib.jobs.job import now_ms
from chalicelib.knowledge.questions import Question
from chalicelib.logs import logger

# An item of DynamoDB has 400 KB. An answer is far smaller; one that is not is no loss.
_LARGEST: Final = 200_000
# What keys of answers about a whole library begin with: no digest of a content.
_LIBRARY: Final = "LIBRARY"


class Answers:
    """The answers of one owner."""

    def __init__(self, table: Table, owner: str) -> None:
        self.table = table
        self.owner = owner

    def find(self, question: Question) -> Any:
        """Return the answer to the same question, or None. What can't be read now is not there."""
        try:
            item = self.table.get(self._key(question))
        except Unavailable as error:
            logger.warning("kept answer not read", extra={"cause": error.message})
            return None
        # The database removes expired items in its own time, up to days late.
        if item is None or item["expires_at"] <= now_ms() // 1000:
            return None
        return msgspec.json.decode(item["answer"])

    def keep(self, question: Question, value: Any) -> None:
        """Keep an answer. Where that fails, the next one to ask pays again: no reason to fail a job."""
        seconds = settings.get().ai_cache_seconds
        try:
            encoded = msgspec.json.encode(value)
        except UnicodeEncodeError:  # half a character: it is read as a space, and not worth keeping
            return
        if seconds <= 0 or len(encoded) > _LARGEST:
            return
        pk, sk = self._key(question)
        item = {"pk": pk, "sk": sk, "answer": encoded, "expires_at": now_ms() // 1000 + seconds}
        try:
            self.table.write(Put(item=item))
        except Unavailable as error:
            logger.warning("answer not kept", extra={"cause": error.message})

    def forget(self, digest: str) -> None:
        """Remove all that was answered about a content, and about the library that it was part of.

        An empty digest: about the library alone. Raise Unavailable.
        """
        for start in (digest, _LIBRARY) if digest else (_LIBRARY,):
            prefix = ("sk", "begins_with", f"{start}#")
            for item in list(query_all(self.table, ("pk", self._partition), sort=prefix)):
                self.table.write(Delete(key=(item["pk"], item["sk"])))

    @property
    def _partition(self) -> str:
        return f"ANSWERS#{self.owner}"

    def _key(self, question: Question) -> Key:
        """Return a key that begins with the content, so that `forget` finds it whatever was asked of whom."""
        given = settings.get()
        asked = f"{given.ai_model}|{given.ai_input_characters}|{question.version}"
        code = hashlib.sha256(asked.encode()).hexdigest()[:16]
        about = f"{_LIBRARY}#{question.digest}" if question.whole else question.digest
        return (self._partition, f"{about}#{question.kind}#{code}")
