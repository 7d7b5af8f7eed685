"""Interference by the owners themselves: documents are deleted and merged while others come."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise

import httpx

from chalicelib.errors import Unavailable
from chalicelib.jobs.states import State
from tests.chaos.handle import Handle
from tests.chaos.load import patient
from tests.chaos.site import Site


def delete_and_merge(site: Site, handle: Handle, dice: random.Random) -> None:
    """Delete every third document as soon as it is there, merge others both ways at once; kill now and then."""
    owners: dict[str, _Owner] = {}
    with ThreadPoolExecutor(4) as pool, contextlib.ExitStack() as stack:
        for _ in handle.pauses(dice, 0.1, 0.4):
            if dice.random() < 0.15:
                site.kill("work", dice)
            for name in sorted({handed.file.owner for handed in handle.handed}):
                if name not in owners:
                    owners[name] = _Owner(name, stack.enter_context(site.client(name)), pool)
                handle.deleted |= owners[name].interfere(site, handle, dice)


class _Owner:
    """One owner, who deletes and merges what has just come."""

    def __init__(self, name: str, http: httpx.Client, pool: ThreadPoolExecutor) -> None:
        self.name = name
        self.http = http
        self.pool = pool
        self.seen: set[str] = set()

    def interfere(self, site: Site, handle: Handle, dice: random.Random) -> set[str]:
        """Delete and merge; return the ids of the documents that are gone."""
        fresh = sorted(self._made(site, handle) - self.seen)
        self.seen.update(fresh)
        gone = [doc_id for doc_id in fresh if dice.random() < 0.35]
        left = [doc_id for doc_id in fresh if doc_id not in gone]
        pairs = [(a, b) for a, b in pairwise(left) if dice.random() < 0.4]
        calls: list[Callable[[], object]] = [partial(self._delete, doc_id) for doc_id in gone * 2]
        calls += [partial(self._merge, *order) for pair in pairs for order in (pair, pair[::-1])]
        calls.append(partial(self._get, "/duplicates?threshold=0.5"))
        dice.shuffle(calls)
        list(self.pool.map(lambda call: call(), calls))
        return {*gone, *self._missing(left)}

    def _made(self, site: Site, handle: Handle) -> set[str]:
        """Return the ids of the documents that this owner's jobs have made."""
        job_ids = [handed.job_id for handed in handle.handed if handed.file.owner == self.name]
        with contextlib.suppress(Unavailable):
            jobs = site.store.find_many(job_ids).values()
            results = [job.result for job in jobs if job.state is State.SUCCESS and job.result]
            return {str(result["doc_id"]) for result in results if not result.get("duplicate_of")}
        return set()

    def _missing(self, doc_ids: Sequence[str]) -> set[str]:
        """Return which of these documents were merged into others."""
        return {doc_id for doc_id in doc_ids if "error" in self._get(f"/documents/{doc_id}")}

    def _delete(self, doc_id: str) -> None:
        # Of two at once, or after a lost answer, one is told that it is not there.
        patient(lambda: self.http.delete(f"/documents/{doc_id}"), also=(404,))

    def _merge(self, keep: str, remove: str) -> None:
        body = {"keep": keep, "remove": [remove]}
        patient(lambda: self.http.post("/duplicates/merge", json=body), also=(404,))

    def _get(self, path: str) -> dict[str, object]:
        return patient(lambda: self.http.get(path), also=(404,))
