"""A typed client of the API: submit, wait, follow progress.

with Client("http://127.0.0.1:8000", token) as client:
    job = client.submit(Path("notes.md"))
    done = client.wait(job["job_id"])
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Self

import httpx

from syncboard import flows
from syncboard.calls import Calls
from syncboard.flows import FINAL_STATES, Answer, ApiError, Ask, Flow, Value

__all__ = ["FINAL_STATES", "ApiError", "Client"]


class Client(Calls[Answer, str]):
    """Talks to one SyncBoard API as one user. Every call (`Calls`) returns its answer."""

    def __init__(
        self, url: str, token: str, *, timeout: float = 60.0, transport: httpx.BaseTransport | None = None
    ) -> None:
        self._http = httpx.Client(
            base_url=url.rstrip("/") + "/",
            headers={"Authorization": f"Bearer {token}"},
            timeout=timeout,
            transport=transport,
        )
        # For forms: the bucket refuses requests that carry a token as well.
        self._plain = httpx.Client(timeout=timeout, transport=transport)

    def __enter__(self) -> Self:
        """Use it in a `with` block to close its connections."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close its connections."""
        self._http.close()
        self._plain.close()

    def wait_all(self, job_ids: Sequence[str], *, timeout: float = 600.0) -> list[Answer]:
        """Return the statuses of jobs, in this order, once all are final. Raise TimeoutError."""
        return self._run(flows.wait_all(job_ids, deadline=time.monotonic() + timeout))

    def iter_progress(self, job_id: str, *, timeout: float = 600.0) -> Iterator[Answer]:
        """Yield a job's status whenever it changed, until it is final; ask as often as the API says."""
        watch = flows.Watch(job_id, deadline=time.monotonic() + timeout)
        while not watch.done:
            status = self._run(watch.look())
            if status is not None:
                yield status

    def _answer(self, flow: Flow[Answer]) -> Answer:
        return self._run(flow)

    def _text(self, flow: Flow[str]) -> str:
        return self._run(flow)

    def _run(self, flow: Flow[Value]) -> Value:
        """Run a flow by blocking."""
        try:
            step = next(flow)
            while True:
                if isinstance(step, Ask):
                    try:
                        answer = self._send(step)
                    except httpx.TransportError as error:
                        step = flow.throw(error)
                    else:
                        step = flow.send(answer)
                else:
                    time.sleep(step.seconds)
                    step = flow.send(None)
        except StopIteration as end:
            value: Value = end.value
            return value

    def _send(self, ask: Ask) -> httpx.Response:
        client = self._plain if ask.url.startswith("http") else self._http
        return client.request(ask.method, ask.url, **ask.options)
