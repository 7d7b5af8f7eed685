"""How long the API takes to answer, over an emulator that holds a generated library."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final
from urllib.parse import quote

from chalice.test import Client

from bench.figures import cpu_seconds, memory_mb, percentiles, reset_peak
from bench.filling import NOT_ANSWERED, OWNER, Library
from bench.search import emulated
from bench.shelves import load
from bench.texts import Author
from chalicelib import settings
from chalicelib.api import tokens
from chalicelib.aws import clients
from chalicelib.knowledge.searchwords import question
from tests.caches import forget

_REQUESTS: Final = 40
_WARM: Final = 5


def latencies(library: Library, author: Author) -> dict[str, dict[str, float]]:
    """Load the library into an emulator; return milliseconds and MB of the API's routes.

    `cpu` is the processor time of a request, in milliseconds: that of API and emulator together.
    """
    with TemporaryDirectory() as folder, emulated(Path(folder), save_seconds=3600):
        _serve(Path(folder))
        load(library.table, library.objects, without=NOT_ANSWERED)
        import app

        with Client(app.app) as client:
            headers = {"Authorization": f"Bearer {tokens.issue(OWNER, seconds=3600)}"}

            def get(path: str) -> Any:
                answer = client.http.get(path, headers=headers)
                assert answer.status_code == 200, (path, answer.body)
                return answer.json_body

            return {name: _timed(get, paths) for name, paths in _routes(get, library, author).items()}


def _serve(folder: Path) -> None:
    """Make queues and the settings that the API needs."""
    secret = folder / "jwt-secret"
    secret.write_text("s" * 64, encoding="ascii")
    os.environ.update(
        {
            "SYNCBOARD_STAGE": "bench",
            "SYNCBOARD_TABLE": "bench",
            "SYNCBOARD_BUCKET": "bench",
            "SYNCBOARD_JWT_SECRET": f"file:{secret}",
        }
    )
    for name in settings.QUEUES:
        url = clients.sqs().create_queue(QueueName=f"bench-{name}")["QueueUrl"]
        os.environ[settings.queue_variable(name)] = url
    forget()


def _timed(get: Callable[[str], Any], paths: Sequence[str]) -> dict[str, float]:
    for path in paths[:_WARM]:
        get(path)
    reset_peak()
    before, cpu = memory_mb("VmRSS"), cpu_seconds(os.getpid())
    took = []
    for path in paths[_WARM:]:
        started = time.perf_counter()
        get(path)
        took.append(1000 * (time.perf_counter() - started))
    found = percentiles(took)
    more = max(0.0, memory_mb("VmHWM") - before)
    cpu = 1000 * (cpu_seconds(os.getpid()) - cpu) / len(took)
    return {
        "p50": round(found.p50, 1),
        "p95": round(found.p95, 1),
        "least": round(min(took), 1),
        "cpu": round(cpu, 1),
        "more_mb": round(more, 1),
    }


def _routes(get: Callable[[str], Any], library: Library, author: Author) -> dict[str, list[str]]:
    """Return the requests by name."""
    chance = random.Random(9)
    number = _REQUESTS + _WARM
    # Words that are too common to be looked for cost nothing.
    common = [word for word in author.words[60:600] if question(word).terms][:240]
    rare = author.words[2000:15_000]
    cluster_ids = [entry["cluster_id"] for entry in get("/clusters?sort=largest&limit=50")["clusters"]]
    groups = get("/duplicates?limit=20")["groups"]
    pairs = [
        f"/duplicates/{group['documents'][0]['doc_id']}/{group['documents'][1]['doc_id']}" for group in groups
    ]
    deep = _cursor(get, "/documents?limit=100", 5)
    phrases = [_phrase(library, author, chance) for _ in range(number)]
    searches = {
        "one rare word": chance.choices(rare, k=number),
        "one common word": chance.choices(common, k=number),
        "three words": [
            f"{chance.choice(common)} {chance.choice(common)} {chance.choice(rare)}" for _ in range(number)
        ],
        "a beginning": [f"{word[:4]}*" for word in chance.choices(rare, k=number)],
        "a phrase of common words": [
            f'"{chance.choice(common)} {chance.choice(common)}"' for _ in range(number)
        ],
        "a phrase that is there": phrases,
    }
    one_of = [f"/documents/{doc_id}" for doc_id in chance.choices(library.ids, k=number)]
    return {
        "GET /documents": ["/documents"] * number,
        "GET /documents, the 6th page of 100": [f"/documents?limit=100&cursor={deep}"] * number,
        "GET /documents/{id}": one_of,
        "GET /jobs": ["/jobs"] * number,
        "GET /clusters": ["/clusters"] * number,
        "GET /clusters?sort=largest": ["/clusters?sort=largest"] * number,
        "GET /clusters/{id}": [f"/clusters/{name}" for name in chance.choices(cluster_ids, k=number)],
        "GET /duplicates": ["/duplicates"] * number,
        "GET /duplicates/{a}/{b}": (pairs * number)[:number],
        "GET /analytics": ["/analytics"] * number,
        **{
            f"GET /search: {name}": [f"/search?q={quote(q)}" for q in asked]
            for name, asked in searches.items()
        },
        "GET /search: a word in a cluster": [
            f"/search?q={quote(chance.choice(common))}&cluster={chance.choice(cluster_ids)}"
            for _ in range(number)
        ],
    }


def _cursor(get: Callable[[str], Any], path: str, pages: int) -> str:
    """Return the cursor behind so many pages."""
    cursor = ""
    for _ in range(pages):
        cursor = quote(get(path + (f"&cursor={cursor}" if cursor else ""))["next_cursor"] or cursor)
    return cursor


def _phrase(library: Library, author: Author, chance: random.Random) -> str:
    """Return two words that stand side by side in a text of the library, common ones among them."""
    keys = [key for key in chance.choices(list(library.objects.bodies), k=20) if key.endswith(".txt")]
    words = library.objects.get(keys[0]).decode().replace(".", " ").split()
    at = chance.randrange(len(words) - 1)
    return f'"{words[at]} {words[at + 1]}"'
