"""Search by file name: each job leaves its words in its owner's partition, and a prefix finds them.

One item a word, `<word>#<job id>`: a word's items stand in the order of their jobs. A prefix may stand for several
words, so their sorted lists are merged; nothing is read that is not on the page or one page ahead of it.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from chalicelib import settings
from chalicelib.aws.expressions import Item
from chalicelib.aws.table import Table
from chalicelib.errors import InvalidRequest
from chalicelib.jobs.job import Job

_WORD: Final = re.compile(r"[^\W_]+")
_SCHEME: Final = re.compile(r"https?://(www\.)?", re.IGNORECASE)
_MAX_WORDS: Final = 5
_MAX_LETTERS: Final = 40
# Different words that one prefix may stand for.
_MAX_MERGED: Final = 25
# A job expires 30 days after its end, which may be days after its submission.
_GRACE_SECONDS: Final = 7 * 24 * 3600
# Sorts after every other character.
_LAST: Final = "\U0010ffff"


def words(text: str) -> list[str]:
    """Return the different words of a file name or link: letters and digits, lower-cased, in order (NFKC)."""
    plain = unicodedata.normalize("NFKC", _SCHEME.sub("", text, count=1)).lower()
    return list(dict.fromkeys(word[:_MAX_LETTERS] for word in _WORD.findall(plain)))


def lifetime(created_at: int) -> int:
    """Return when what belongs to a job made at `created_at` (ms) may go, in seconds since the epoch."""
    return created_at // 1000 + settings.get().job_ttl_seconds + _GRACE_SECONDS


def entries(job: Job) -> list[Item]:
    """Return the items by which a job is found: its name's first five words."""
    return [
        {"pk": _partition(job.owner), "sk": f"{word}#{job.job_id}", "expires_at": lifetime(job.created_at)}
        for word in words(job.filename)[:_MAX_WORDS]
    ]


class Matches:
    """The jobs of one owner with a word that begins with `prefix` (as `words` gives it), newest first."""

    def __init__(self, table: Table, owner: str, prefix: str) -> None:
        self.table = table
        self.partition = ("pk", _partition(owner))
        self.words = self._words(prefix)

    def ids(self, low: str, high: str, count: int) -> list[str]:
        """Return up to `count` job ids from `low` to `high`, both included, newest first; fewer: that is all."""
        found = {job_id for word in self.words for job_id in self._of(word, low, high, count)}
        return sorted(found, reverse=True)[:count]

    def _of(self, word: str, low: str, high: str, count: int) -> list[str]:
        between = ("sk", "between", (f"{word}#{low}", f"{word}#{high}"))
        page = self.table.query(self.partition, sort=between, limit=count, forward=False)
        return [item["sk"].partition("#")[2] for item in page.items]

    def _words(self, prefix: str) -> list[str]:
        """Return the words that are there, skipping from one to the next. Raise InvalidRequest for too many."""
        found: list[str] = []
        start = prefix
        while True:
            between = ("sk", "between", (start, prefix + _LAST))
            page = self.table.query(self.partition, sort=between, limit=1)
            if not page.items:
                return found
            if len(found) == _MAX_MERGED:
                raise InvalidRequest(
                    f"More than {_MAX_MERGED} different words begin with {prefix!r}; give more letters.",
                    field="q",
                )
            found.append(page.items[0]["sk"].partition("#")[0])
            start = found[-1] + "$"  # the character after #: past all jobs with this word


def _partition(owner: str) -> str:
    return f"FIND#{owner}"
