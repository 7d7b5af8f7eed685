"""Pictures, scans, recordings and films through the whole stack, with the containers' own environments."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from PIL import Image

from local.containers import CONTAINERS
from local.environments import is_fresh
from syncboard.client import Client
from syncboard.demo import served_samples
from tests.stack import ROOT, RunningStack, eventually

SAMPLES = ROOT / "samples"
MISSING = [name for name, container in CONTAINERS.items() if not is_fresh(name, container.lock)]

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(400),
    pytest.mark.skipif(
        bool(MISSING), reason=f"NEITHER SCANS NOR SPEECH WERE TESTED: not installed: {MISSING} (make setup)"
    ),
]


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    """The samples as a web site."""
    with served_samples() as address:
        yield address


@pytest.fixture(scope="module")
def listening(tmp_path_factory: pytest.TempPathFactory, site: str) -> Iterator[RunningStack]:
    """A stack with all containers."""
    stack = RunningStack(
        tmp_path_factory.mktemp("containers"),
        containers="ocr,media,analysis",
        SYNCBOARD_NETWORK_ALLOW=site,
        SYNCBOARD_LEASE_SECONDS="6",
    )
    stack.start()
    yield stack
    stack.stop()


def ended(client: Client, job: dict[str, Any]) -> dict[str, Any]:
    status = client.wait(job["job_id"], timeout=240)
    assert status["state"] == "SUCCESS", status
    return status


def text(client: Client, status: dict[str, Any]) -> str:
    document = client.document(status["result"]["doc_id"])
    return " ".join(str(document["text"]).split())


def containers_worker(stack: RunningStack, queue: str) -> psutil.Process:
    return next(
        process
        for process in stack.process.children()
        if queue in process.cmdline() and "local.worker" in " ".join(process.cmdline())
    )


def test_a_job_that_comes_before_its_worker_is_ready_says_so_and_succeeds(listening: RunningStack) -> None:
    with listening.client("early") as client:
        first = client.submit(SAMPLES / "standup.mp3")
        status = ended(client, first)
        assert "database migration on the staging server fails" in text(client, status)
        document = client.document(status["result"]["doc_id"])
        assert (document["language"], document["source_type"]) == ("en", "audio")
        assert document["segments_url"]
        assert {client.health()["capabilities"][name]["state"] for name in ("ocr", "speech")} == {"ready"}


def test_a_scan_hands_itself_on_to_text_recognition_within_one_attempt(listening: RunningStack) -> None:
    with listening.client("scanner") as client:
        status = ended(client, client.submit(SAMPLES / "minutes-scan.pdf"))
        assert "The crane on the eastern quay needs a new cable before winter" in text(client, status)
        job = client.job(status["job_id"])
        assert (job["queue"], job["attempt"]) == ("uploads-ocr", 1)
        assert [line["state"] for line in job["timeline"]].count("PROCESSING") >= 2


def test_a_photo_and_a_film_are_read(listening: RunningStack) -> None:
    with listening.client("viewer") as client:
        jobs = [client.submit(SAMPLES / name) for name in ("recipe-photo.jpg", "screencast.webm")]
        photo, film = (text(client, ended(client, job)) for job in jobs)
    assert "two litres of vegetable stock" in photo
    assert "Press the green button to upload a file" in film


def test_a_picture_without_text_is_known_by_its_description(listening: RunningStack) -> None:
    out = io.BytesIO()
    Image.linear_gradient("L").resize((400, 300)).save(out, "PNG")
    body = {
        "filename": "sky.png",
        "content": base64.b64encode(out.getvalue()).decode(),
        "description": "Evening sky over the harbour of Lisbon",
    }
    headers = {"Authorization": f"Bearer {listening.token_of('painter')}"}
    answer = httpx.post(f"{listening.url}/upload_image", json=body, headers=headers)
    with listening.client("painter") as client:
        assert text(client, ended(client, answer.json())) == body["description"]


def test_a_link_is_read_as_an_article_and_a_linked_recording_is_listened_to(
    listening: RunningStack, site: str
) -> None:
    with listening.client("linker") as client:
        page = client.submit_url(f"http://{site}/compost.html")
        sound = client.submit_url(f"http://{site}/standup.mp3")
        article = text(client, ended(client, page))
        assert "Feed it two parts of brown material" in article
        assert "cookies" not in article
        status = ended(client, sound)
        assert "I need help from the platform team" in text(client, status)
        assert client.job(sound["job_id"])["queue"] == "uploads-media"


def test_a_killed_worker_is_replaced_and_its_job_goes_on(listening: RunningStack) -> None:
    with listening.client("killer") as client:
        job = client.submit(SAMPLES / "standup.mp3")
        eventually(
            lambda: client.status(job["job_id"])["state"], lambda state: state == "PROCESSING", seconds=60
        )
        containers_worker(listening, "uploads-media").kill()
        status = ended(client, job)
        assert "database migration" in text(client, status)
        assert len(client.documents()["documents"]) == 1


def test_an_odd_picture_fails_by_name(listening: RunningStack, tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(200))
    with listening.client("odd") as client:
        status = client.wait(client.submit(broken)["job_id"], timeout=60)
    assert (status["state"], status["error"]["type"]) == ("FAILURE", "broken_file")


def test_topics_are_found_anew_in_their_container(listening: RunningStack) -> None:
    with listening.client("orderly") as client:
        for name in ("sourdough.txt", "postgres-indexes.md", "slow-queries.md"):
            ended(client, client.submit(SAMPLES / name))
        result = ended(client, client.submit_task("regroup_library", {}))["result"]
        assert result["documents"] == 3
        assert 1 <= result["clusters_after"] <= 3
