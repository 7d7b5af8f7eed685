"""`process_url_upload`: what a link leads to becomes a document."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from chalicelib.ingest.content import HEAD_BYTES, ContentType, sniff
from chalicelib.ingest.filename import extension
from chalicelib.jobs.run import Run
from chalicelib.jobs.states import Stage
from chalicelib.net.guard import Fetched, fetch
from chalicelib.net.urls import host_of, name_of
from chalicelib.settings import MB
from chalicelib.tasks.deferral import bounded_deferrals
from chalicelib.tasks.ingestion import ingest

# Files beyond this are uploaded rather than linked: a link's download can't be resumed.
MAX_BYTES: Final = 200 * MB
FETCH_SECONDS: Final = 180.0

_HTML_TYPES: Final = frozenset({"text/html", "application/xhtml+xml"})
# Names of programs that write pages, and of no file at all: what they send is not what they are called.
_PAGE_EXTENSIONS: Final = frozenset({"", ".asp", ".aspx", ".cfm", ".cgi", ".jsp", ".php"})


def process_url_upload(run: Run) -> None:
    """Fetch the link in `params["url"]` and ingest what it leads to.

    Raise what `guard.fetch` and `ingest` raise: UnsupportedType names a kind that can't be read yet.
    """
    url = str(run.job.params["url"])
    path = run.folder / "source"
    run.progress(Stage.DECODING, "Fetching the link")
    with bounded_deferrals(run.job):
        fetched = fetch(
            url,
            path,
            max_bytes=MAX_BYTES,
            seconds=FETCH_SECONDS,
            on_progress=lambda done, total, text: run.progress(
                Stage.DECODING, text, share=done / total if total else 0.0
            ),
        )
    ingest(
        run,
        path,
        content_of(path, fetched),
        filename=name_of(fetched.final_url) or host_of(fetched.final_url),
        password=run.job.password or None,
        origin={"url": url},
    )


def content_of(path: Path, fetched: Fetched) -> ContentType:
    """Return what the fetched bytes are. They decide, not the server's word, but for one case.

    A page may be called `index.php` or nothing at all: where the server says HTML, text without a telling name
    is HTML.
    """
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    # Not the host: `crates.rs` is no Rust, and `example.md` no Markdown.
    filename = name_of(fetched.final_url)
    if fetched.content_type in _HTML_TYPES:
        nameless = extension(filename) in _PAGE_EXTENSIONS
        page = sniff(head, filename="page.html" if nameless else "", size=fetched.size)
        if page.kind == "html":
            return page
    return sniff(head, filename=filename, size=fetched.size)
