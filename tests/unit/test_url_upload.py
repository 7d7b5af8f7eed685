"""`process_url_upload`: what a link leads to becomes a document, or an error that says why not."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from reportlab.pdfgen.canvas import Canvas  # type: ignore[import-untyped]

from chalicelib.errors import (
    BlockedAddress,
    EmptyFile,
    HandOver,
    RetryAfter,
    SourceNotFound,
    Unreachable,
    UnsupportedType,
)
from chalicelib.jobs.job import new_id, now_ms
from chalicelib.jobs.run import Progress, Run
from chalicelib.jobs.states import State
from chalicelib.library.documents import Document, Documents
from chalicelib.net.client import Fetched
from chalicelib.tasks.deferral import MAX_HOURS, bounded_deferrals
from chalicelib.tasks.url_upload import content_of, process_url_upload
from tests.unit.engine import Engine
from tests.webserver import Web, allowing, in_turn, redirect, reply, serving

PAGE = b"<!doctype html><html><body><p>Some words about databases.</p></body></html>"


@pytest.fixture
def web() -> Iterator[Web]:
    with serving() as server, allowing(f"127.0.0.1:{server.port}"):
        yield server


class Ingestion:
    """Runs the task on links, one job each."""

    def __init__(self, folder: Path) -> None:
        self.engine = Engine()
        self.folder = folder
        self.progress: list[Progress] = []

    def run(self, url: str, **changes: Any) -> dict[str, Any]:
        """Run a job for `url`; return its result."""
        job = self.engine.job(
            task="process_url_upload",
            filename=url,
            state=State.PROCESSING,
            attempt=1,
            run=new_id(),
            started_at=now_ms(),
            params={"url": url},
            **changes,
        )
        run = Run(
            job,
            table=self.engine.table,
            objects=self.engine.objects,  # type: ignore[arg-type]
            folder=self.folder,
            report=self.progress.append,
        )
        process_url_upload(run)
        row = self.engine.row(job)
        assert row.state is State.SUCCESS
        assert row.result is not None
        return row.result

    def document(self, result: dict[str, Any]) -> Document:
        return Documents(self.engine.table, "ann").require(result["doc_id"])


@pytest.fixture
def ingestion(tmp_path: Path) -> Ingestion:
    return Ingestion(tmp_path)


def pdf(text: str) -> bytes:
    out = io.BytesIO()
    canvas = Canvas(out)
    canvas.drawString(72, 720, text)
    canvas.save()
    return out.getvalue()


def test_a_linked_text_becomes_a_document_that_knows_its_link(web: Web, ingestion: Ingestion) -> None:
    web.answers["/notes/SQL%20basics.md?raw=1"] = reply(body=b"# Joins\n\nAn inner join keeps matches.\n")
    url = web.url("/notes/SQL%20basics.md?raw=1")
    result = ingestion.run(url)
    document = ingestion.document(result)
    assert (document.filename, document.source_type, document.title) == ("SQL basics.md", "markdown", "Joins")
    assert document.metadata["url"] == result["url"] == url
    assert b"inner join" in ingestion.engine.objects.bodies[document.text_key]
    percents = [progress.percent for progress in ingestion.progress]
    assert percents == sorted(percents)
    assert {"decoding", "extracting_text", "ai_analysis", "clustering", "saving"} == {
        progress.stage for progress in ingestion.progress
    }


def test_the_bytes_decide_what_it_is_whatever_the_server_says(web: Web, ingestion: Ingestion) -> None:
    web.answers["/download"] = reply(body=pdf("Normal forms of relations"), kind="text/html")
    document = ingestion.document(ingestion.run(web.url("/download")))
    assert (document.source_type, document.pages) == ("pdf", 1)


def test_code_is_read_as_code(web: Web, ingestion: Ingestion) -> None:
    web.answers["/sort.py"] = reply(body=b"def sort(values):\n    return sorted(values)\n")
    document = ingestion.document(ingestion.run(web.url("/sort.py")))
    assert (document.source_type, document.language) == ("code", "python")


def test_a_link_without_a_file_name_is_called_by_its_host(web: Web, ingestion: Ingestion) -> None:
    web.answers["/"] = reply(body=b"Some words about databases.")
    assert ingestion.document(ingestion.run(web.url("/"))).filename == "127.0.0.1"


def test_the_name_is_that_of_the_last_redirect_and_the_link_the_user_s_own(
    web: Web, ingestion: Ingestion
) -> None:
    web.answers |= {"/latest": redirect("/v2/guide.md"), "/v2/guide.md": reply(body=b"# Guide\n\nWords.\n")}
    document = ingestion.document(ingestion.run(web.url("/latest")))
    assert (document.filename, document.metadata["url"]) == ("guide.md", web.url("/latest"))


@pytest.mark.parametrize(
    ("body", "kind", "named"),
    [
        (b"\x7fELF" + bytes(100), "text/plain", "a program"),
        (b"7z\xbc\xaf\x27\x1c" + bytes(100), "application/x-7z-compressed", "a compressed archive"),
    ],
)
def test_a_kind_that_can_t_be_read_is_named(
    web: Web, ingestion: Ingestion, body: bytes, kind: str, named: str
) -> None:
    web.answers["/x"] = reply(body=body, kind=kind)
    with pytest.raises(UnsupportedType, match=named):
        ingestion.run(web.url("/x"))
    assert ingestion.engine.objects.bodies == {}


@pytest.mark.parametrize(
    ("body", "queue"),
    [
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "uploads-ocr"),
        (b"ID3\x04" + bytes(100), "uploads-media"),
        (b"<html><h1>Talk</h1><video src='talk.mp4'></video><p>Watch it.</p></html>", "uploads-media"),
    ],
)
def test_what_another_function_reads_is_handed_over(
    web: Web, ingestion: Ingestion, body: bytes, queue: str
) -> None:
    web.answers["/x"] = reply(body=body, kind="text/html" if body.startswith(b"<") else "application/x")
    with pytest.raises(HandOver) as handed:
        ingestion.run(web.url("/x"))
    assert handed.value.queue == queue


def test_a_page_with_a_film_and_much_to_read_is_read(web: Web, ingestion: Ingestion) -> None:
    words = b" ".join(b"word%d" % number for number in range(400))
    body = b"<html><article><h1>Tides</h1><video src='a.mp4'></video><p>" + words + b"</p></article></html>"
    web.answers["/x"] = reply(body=body, kind="text/html")
    document = ingestion.document(ingestion.run(web.url("/x")))
    assert b"word399" in ingestion.engine.objects.bodies[document.text_key]


def test_nothing_at_the_link_is_permanent_and_an_empty_answer_too(web: Web, ingestion: Ingestion) -> None:
    web.answers |= {"/gone": reply(410), "/empty": reply(200)}
    with pytest.raises(SourceNotFound):
        ingestion.run(web.url("/gone"))
    with pytest.raises(EmptyFile):
        ingestion.run(web.url("/empty"))


def test_a_link_into_the_own_network_is_blocked(ingestion: Ingestion) -> None:
    with pytest.raises(BlockedAddress):
        ingestion.run("http://169.254.169.254/latest/meta-data/iam/security-credentials/")


def test_after_a_server_error_the_next_attempt_can_go_well(web: Web, ingestion: Ingestion) -> None:
    web.answers["/a.txt"] = in_turn(reply(500), reply(body=b"Some words about databases."))
    with pytest.raises(Unreachable):
        ingestion.run(web.url("/a.txt"))
    assert ingestion.run(web.url("/a.txt"))["words"] == 4


def test_a_server_that_defers_for_ever_ends_in_spent_attempts(web: Web, ingestion: Ingestion) -> None:
    web.answers["/a.txt"] = reply(429, Retry_After="60")
    with pytest.raises(RetryAfter) as caught:
        ingestion.run(web.url("/a.txt"))
    assert caught.value.seconds == 60
    with pytest.raises(Unreachable, match="more than 6 hours"):
        ingestion.run(web.url("/a.txt"), created_at=now_ms() - MAX_HOURS * 3_600_000)


def test_a_library_that_is_busy_is_no_unreachable_server_however_old_the_job(
    web: Web, ingestion: Ingestion, monkeypatch: pytest.MonkeyPatch
) -> None:
    web.answers["/a.txt"] = reply(body=b"Some words about databases.")

    def busy(*_: object, **__: object) -> None:
        raise RetryAfter("The library is busy.", 5.0)

    monkeypatch.setattr("chalicelib.tasks.url_upload.ingest", busy)
    with pytest.raises(RetryAfter):
        ingestion.run(web.url("/a.txt"), created_at=now_ms() - MAX_HOURS * 3_600_000)


def test_other_errors_are_no_matter_of_patience() -> None:
    job = Engine().job(created_at=1)
    with pytest.raises(SourceNotFound), bounded_deferrals(job):
        raise SourceNotFound("gone")


# --- What the bytes are -------------------------------------------------------------------------------------


@pytest.fixture
def kind_of(tmp_path: Path) -> Callable[[bytes, str, str], str]:
    def kind_of(body: bytes, url: str, content_type: str) -> str:
        path = tmp_path / "source"
        path.write_bytes(body)
        fetched = Fetched(final_url=url, status=200, content_type=content_type, size=len(body))
        return content_of(path, fetched).kind

    return kind_of


@pytest.mark.parametrize(
    ("body", "url", "content_type", "kind"),
    [
        (PAGE, "https://example.com/", "text/html", "html"),
        (PAGE, "https://example.com/index.php", "text/html", "html"),
        (PAGE, "https://example.com/index.php", "text/plain", "code"),
        (PAGE, "https://example.com/guide.v2", "text/html", "html"),
        (b"<p>No head at all</p>", "https://example.com/page", "text/html", "html"),
        (b"<p>No head at all</p>", "https://example.com/page.asp", "application/xhtml+xml", "html"),
        (b"<p>No head at all</p>", "https://example.com/page", "text/plain", "text"),
        (b"Plain words.", "https://example.com/words.txt", "text/html", "text"),
        (b"# Title", "https://example.com/readme.md", "text/html", "markdown"),
        (b"fn main() {}", "https://crates.rs/", "text/plain", "text"),
        (b"fn main() {}", "https://example.com/main.rs", "text/plain", "code"),
        (b"%PDF-1.7 ...", "https://example.com/", "text/html", "pdf"),
        (b"\x89PNG\r\n\x1a\n" + bytes(99), "https://example.com/x.html", "text/html", "image"),
    ],
)
def test_what_a_link_s_bytes_are(
    kind_of: Callable[[bytes, str, str], str], body: bytes, url: str, content_type: str, kind: str
) -> None:
    assert kind_of(body, url, content_type) == kind
