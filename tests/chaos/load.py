"""What a storm works on: seeded files of several owners, handed in as clients do."""

from __future__ import annotations

import base64
import random
import time
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from typing import Any, Final

import httpx
import msgspec

from chalicelib.jobs.store import JobStore
from tests.chaos.faults import POISON, POISONS

OWNERS: Final = ("ann", "ben", "cleo")
_SUBJECTS: Final = (
    ("tides", "harbour", "moon", "lighthouse", "sailor", "current", "shore"),
    ("tomatoes", "soil", "compost", "seedling", "greenhouse", "pruning", "harvest"),
    ("containers", "cluster", "scheduler", "kubernetes", "network", "pods", "deployment"),
    ("violin", "sonata", "orchestra", "melody", "rhythm", "bow", "concert"),
)
_WORDS: Final = (
    *("keeps", "measures", "follows", "changes", "carries", "needs"),
    *("shows", "explains", "joins", "early", "often", "slowly"),
)
_SUBMIT_SECONDS: Final = 90.0
_SENDERS: Final = 4


class File(msgspec.Struct, frozen=True, kw_only=True):
    """One file of a plan."""

    owner: str
    name: str
    content: bytes
    # By presigned form instead of in the body.
    form: bool = False
    # How its job must end: as `audit.outcome` says it.
    expected: str = "SUCCESS"


class Handed(msgspec.Struct, frozen=True, kw_only=True):
    """A file that was accepted."""

    file: File
    job_id: str


def plan(storm: str, *, jobs: int, poisons: int, dice: random.Random, copies: float = 0.0) -> list[File]:
    """Return the files of one storm, in the order in which they are handed in; the same for the same dice.

    A share of `copies` are near duplicates of the same owner's other files.
    """
    owners = [f"{storm}-{owner}" for owner in OWNERS]
    files: list[File] = []
    for number in range(jobs - poisons):
        before = files[number % len(owners) :: len(owners)]
        if copies and before and dice.random() < copies:
            files.append(_copied(dice.choice(before), number))
        else:
            files.append(_file(owners[number % len(owners)], number, dice))
    for number, poison in zip(range(poisons), cycle(POISONS), strict=False):
        files.append(_poisoned(dice.choice(owners), number, poison, dice))
    dice.shuffle(files)
    return files


def _file(owner: str, number: int, dice: random.Random) -> File:
    form = dice.random() < 0.4
    if dice.random() < 0.03:
        noise = dice.randbytes(2000)
        return File(
            owner=owner,
            name=f"noise-{number}.txt",
            content=noise,
            form=True,
            expected="FAILURE unsupported_type",
        )
    text = _text(number, dice)
    return File(
        owner=owner, name=f"note-{number}.{dice.choice(['md', 'txt'])}", content=text.encode(), form=form
    )


def _copied(file: File, number: int) -> File:
    if file.expected != "SUCCESS":
        return msgspec.structs.replace(file, name=f"{number}-{file.name}")
    content = file.content + f"\nCopied as number {number}.\n".encode()
    return msgspec.structs.replace(file, name=f"copy-{number}.md", content=content)


def _poisoned(owner: str, number: int, poison: str, dice: random.Random) -> File:
    mark = f"{POISON}{poison}"
    # Too large for a row, in which it would be packed and unseen.
    text = f"{_text(number, dice)}\n\n{mark}\n\n{dice.randbytes(8000).hex()}\n"
    return File(
        owner=owner, name=f"{mark}-{number}.md", content=text.encode(), expected="FAILURE worker_lost"
    )


def _text(number: int, dice: random.Random) -> str:
    subject = dice.choice(_SUBJECTS)
    sentences = [
        " ".join(dice.choice((*subject, *_WORDS)) for _ in range(9)).capitalize() + "."
        for _ in range(dice.randint(3, 40))
    ]
    return f"# Note {number} on {subject[0]} ({dice.getrandbits(64):x})\n\n{' '.join(sentences)}\n"


class Senders:
    """Hand in a plan's files from a few threads, and insist until each is accepted."""

    def __init__(self, url: str, token: Callable[[str], str], store: JobStore) -> None:
        self.url = url
        self.token = token
        self.store = store

    def hand_in(self, files: list[File]) -> list[Handed]:
        """Return what was accepted, in the plan's order. Raise TimeoutError if one is not within its time."""
        with ThreadPoolExecutor(_SENDERS) as pool:
            return list(pool.map(self._one, files))

    def _one(self, file: File) -> Handed:
        with httpx.Client(
            base_url=self.url, headers={"Authorization": f"Bearer {self.token(file.owner)}"}, timeout=30
        ) as http:
            job = patient(lambda: self._submit(http, file))
            if file.form:
                patient(lambda: self._post(job["upload"], file))
        return Handed(file=file, job_id=job["job_id"])

    def _submit(self, http: httpx.Client, file: File) -> httpx.Response:
        # A patient client's repeated request is the same job: no more jobs than files.
        headers = {"Idempotency-Key": f"{file.owner}-{file.name}"}
        if file.form:
            return http.post(
                "/uploads", json={"filename": file.name, "size": len(file.content)}, headers=headers
            )
        content = base64.b64encode(file.content).decode()
        return http.post("/upload_file", json={"filename": file.name, "content": content}, headers=headers)

    @staticmethod
    def _post(form: dict[str, Any], file: File) -> httpx.Response:
        return httpx.post(
            form["url"], data=form["fields"], files={"file": (file.name, file.content)}, timeout=30
        )


def patient(request: Callable[[], httpx.Response], *, also: Collection[int] = ()) -> dict[str, Any]:
    """Repeat a request until it is accepted, as a patient client does; raise for an answer that is no hiccup.

    Statuses in `also` are answers, too.
    """
    deadline = time.monotonic() + _SUBMIT_SECONDS
    while True:
        try:
            answer = request()
        except httpx.TransportError as error:
            reason = repr(error)
        else:
            if answer.is_success or answer.status_code in also:
                return dict(answer.json()) if answer.content else {}
            reason = f"{answer.status_code} {answer.text[:300]}"
            if answer.status_code < 500:
                raise AssertionError(f"refused: {reason}")
        if time.monotonic() > deadline:
            raise TimeoutError(f"not accepted within {_SUBMIT_SECONDS:g} s: {reason}")
        time.sleep(0.3)
