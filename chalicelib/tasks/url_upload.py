"""`process_url_upload`: what a link leads to becomes a document."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from chalicelib import settings
from chalicelib.errors import HandOver, SourceNotFound, UnsupportedUrl
from chalicelib.ingest.content import HEAD_BYTES, ContentType, sniff
from chalicelib.ingest.extraction import limits_of
from chalicelib.ingest.filename import extension
from chalicelib.ingest.formats import MEDIA, UPLOADS
from chalicelib.jobs.run import Run
from chalicelib.jobs.states import Stage
from chalicelib.media.sites import is_media_site
from chalicelib.net.guard import Fetched, fetch
from chalicelib.net.urls import host_of, name_of
from chalicelib.settings import MB
from chalicelib.tasks import archive
from chalicelib.tasks.deferral import bounded_deferrals
from chalicelib.tasks.ingestion import ingest, publish_document, workplace

# Files beyond this are uploaded rather than linked: a link's download can't be resumed.
MAX_BYTES: Final = 200 * MB
FETCH_SECONDS: Final = 180.0

_HTML_TYPES: Final = frozenset({"text/html", "application/xhtml+xml"})
# What a page with a player holds, what is no text on it, and below how many words the film is the matter.
_PLAYER = re.compile(rb"<(?:video|audio)[\s>]|property=[\"']og:(?:video|audio)", re.I)
_SCRIPTS = re.compile(rb"<(script|style|svg|nav|header|footer)\b.*?</\1\s*>", re.I | re.S)
_TAGS = re.compile(rb"<[^>]*>")
_FEW_WORDS: Final = 150
_PAGE_BYTES: Final = 512 * 1024
# Names of programs that write pages, and of no file at all: what they send is not what they are called.
_PAGE_EXTENSIONS: Final = frozenset({"", ".asp", ".aspx", ".cfm", ".cgi", ".jsp", ".php"})


def process_url_upload(run: Run) -> None:
    """Make a document of what the link in `params["url"]` leads to: a page, a file, a film or recording.

    Raise what `guard.fetch`, `links.fetch_media` and `ingest` raise: UnsupportedType names a kind that can't be read.
    """
    if archive.go_on(run):
        return
    url = str(run.job.params["url"])
    run.progress(Stage.DECODING, "Fetching the link")
    if run.job.queue == MEDIA and _listen(run, url):
        return
    _read(run, url)


def _read(run: Run, url: str) -> None:
    """Fetch what the link leads to, as any program does, and ingest it."""
    path = run.folder / "source"
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
    content = content_of(path, fetched)
    if content.kind == "html" and run.job.queue == UPLOADS and _is_a_film(path):
        raise HandOver("This page shows a film: on to listening", queue=MEDIA)
    ingest(
        run,
        path,
        content,
        filename=name_of(fetched.final_url) or host_of(fetched.final_url),
        password=run.job.password or None,
        origin={"url": url},
    )


def _listen(run: Run, url: str) -> bool:
    """Make a document of the film or recording at the link; False where there is none."""
    from chalicelib.media.link_reader import read_link  # late: only the media function has its libraries

    item = run.job.params.get("playlist_item")
    try:
        with bounded_deferrals(run.job):
            extracted = read_link(
                url,
                workplace(run, limits_of(settings.get())),
                password=run.job.password or None,
                playlist_items=int(item) if item else None,
            )
    except (UnsupportedUrl, SourceNotFound):
        if is_media_site(url):
            raise
        return False  # a page or file after all
    publish_document(run, extracted, filename=name_of(url) or host_of(url), origin={"url": url})
    return True


def _is_a_film(path: Path) -> bool:
    """Tell whether a page is there for the film or recording on it: a player, and hardly a word."""
    with path.open("rb") as file:
        page = file.read(_PAGE_BYTES)
    if not _PLAYER.search(page):
        return False
    words = _TAGS.sub(b" ", _SCRIPTS.sub(b" ", page)).split()
    return len(words) < _FEW_WORDS


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
