"""Links to films, against servers on this machine: captions first, then the sound, and what must not be reached."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import pytest_socket
from yt_dlp.extractor import gen_extractor_classes

from chalicelib.errors import (
    BlockedAddress,
    InvalidRequest,
    SourceNotFound,
    SourceRefused,
    SyncBoardError,
    TooLarge,
    Unreachable,
    UnsupportedUrl,
)
from chalicelib.media import link_reader
from chalicelib.media.downloading import MediaFetched, MediaOptions
from chalicelib.media.links import fetch_media
from tests.media.test_speech import place_in
from tests.webserver import Handler, Web, allowing, dripping, endless, redirect, reply, serving, silent

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="patches reach a forked child only")


@pytest.fixture(scope="module", autouse=True)
def sites_loaded() -> None:
    """Have yt-dlp load its 1,800 sites once, not in each forked child: that takes 2 s."""
    for site in gen_extractor_classes():
        assert site.IE_NAME
        assert site.extract_from_webpage


CAPTIONS = b"WEBVTT\n\n00:00:01.000 --> 00:00:02.500\nThe harbour opens\n\n00:00:02.500 --> 00:00:04.000\nat seven.\n"
SOUND = b"ID3\x04\x00\x00\x00\x00\x00\x00" + bytes(range(256)) * 200


@pytest.fixture
def web() -> Iterator[Web]:
    """A server that links may reach."""
    with serving() as server, allowing(f"127.0.0.1:{server.port}"):
        yield server


@pytest.fixture
def inner() -> Iterator[Web]:
    """A server of the own network, that nothing may reach."""
    with serving() as server:
        server.answers["/"] = reply(body=SOUND, kind="audio/mpeg")
        yield server
        assert server.asked == []


Fetch = Callable[..., MediaFetched]


@pytest.fixture
def fetch(tmp_path: Path) -> Fetch:
    """Fetch a link into `tmp_path / "media"`."""
    folder = tmp_path / "media"
    folder.mkdir()

    def fetch(url: str, **options: object) -> MediaFetched:
        given = {"seconds": 30.0, "max_bytes": 1024 * 1024, **options}
        return fetch_media(url, folder, options=MediaOptions(**given))  # type: ignore[arg-type]

    return fetch


def page(*elements: str) -> Callable[[Handler], None]:
    body = "".join(elements)
    html = f"<html><head><title>Harbour film</title></head><body>{body}</body></html>"
    return reply(body=html.encode(), kind="text/html")


def film(source: str, kind: str = "video/mp4", tracks: str = "") -> str:
    return f'<video><source src="{source}" type="{kind}">{tracks}</video>'


TRACK = '<track kind="subtitles" src="/captions.vtt" srclang="en" label="English">'


# --- What goes well -----------------------------------------------------------------------------------------


def test_captions_are_taken_and_the_film_is_left_where_it_is(web: Web, fetch: Fetch) -> None:
    web.answers |= {
        "/film": page(film("/film.mp4", tracks=TRACK)),
        "/film.mp4": reply(body=SOUND, kind="video/mp4"),
        "/captions.vtt": reply(body=CAPTIONS, kind="text/vtt"),
    }
    got = fetch(web.url("/film"))
    assert [segment.text for segment in got.captions] == ["The harbour opens", "at seven."]
    assert (got.captions[0].start, got.captions[1].end) == (1.0, 4.0)
    assert (got.title, got.language, got.file, got.automatic) == ("Harbour film", "en", None, False)
    assert [asked for asked in web.asked if asked.path == "/film.mp4" and asked.method == "GET"] == []


def test_without_captions_the_film_is_downloaded(web: Web, fetch: Fetch, tmp_path: Path) -> None:
    web.answers |= {"/film": page(film("/film.mp4")), "/film.mp4": reply(body=SOUND, kind="video/mp4")}
    got = fetch(web.url("/film"))
    assert got.file is not None
    assert Path(got.file).parent == tmp_path / "media"
    assert Path(got.file).read_bytes() == SOUND
    assert (got.captions, got.kind) == ((), "video")


def test_captions_that_cannot_be_had_give_way_to_the_sound_with_a_warning(web: Web, fetch: Fetch) -> None:
    web.answers |= {
        "/film": page(film("/film.mp4", tracks=TRACK)),
        "/film.mp4": reply(body=SOUND, kind="video/mp4"),
        "/captions.vtt": reply(404),
    }
    got = fetch(web.url("/film"))
    assert got.file is not None
    assert got.warnings == ("The captions could not be fetched: There is nothing at this link (HTTP 404).",)


def test_a_direct_file_is_downloaded(web: Web, fetch: Fetch) -> None:
    web.answers["/talk.mp3"] = reply(body=SOUND, kind="audio/mpeg")
    got = fetch(web.url("/talk.mp3"))
    assert got.file is not None
    assert Path(got.file).read_bytes() == SOUND
    assert (got.title, got.kind) == ("talk", "audio")


def test_a_stream_in_parts_is_put_together_without_ffmpeg(web: Web, fetch: Fetch) -> None:
    parts = b"".join(b"#EXTINF:4,\npart%d.ts\n" % number for number in range(3))
    head = b"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-PLAYLIST-TYPE:VOD\n"
    web.answers["/talk.m3u8"] = reply(
        body=head + parts + b"#EXT-X-ENDLIST\n", kind="application/vnd.apple.mpegurl"
    )
    for number in range(3):
        web.answers[f"/part{number}.ts"] = reply(body=bytes([number]) * 376, kind="video/mp2t")
    got = fetch(web.url("/talk.m3u8"))
    assert got.file is not None
    assert Path(got.file).read_bytes() == b"".join(bytes([number]) * 376 for number in range(3))


def test_the_bytes_of_a_download_are_told_as_progress(web: Web, tmp_path: Path) -> None:
    web.answers["/talk.mp3"] = reply(body=SOUND, kind="audio/mpeg")
    seen: list[tuple[int, int, str]] = []
    fetch_media(
        web.url("/talk.mp3"),
        tmp_path,
        options=MediaOptions(),
        on_progress=lambda *report: seen.append(report),
    )
    assert seen[-1][:2] == (len(SOUND), len(SOUND))


# --- Playlists ----------------------------------------------------------------------------------------------


def two_films(web: Web) -> str:
    web.answers |= {
        "/both": page(film("/one.mp4"), film("/two.mp4")),
        "/one.mp4": reply(body=b"one" + SOUND, kind="video/mp4"),
        "/two.mp4": reply(body=b"two" + SOUND, kind="video/mp4"),
    }
    return web.url("/both")


def test_a_playlist_is_refused_and_the_option_is_named(web: Web, fetch: Fetch) -> None:
    with pytest.raises(InvalidRequest, match="playlist_items") as caught:
        fetch(two_films(web))
    assert caught.value.details == {"option": "playlist_items"}


@pytest.mark.parametrize(("number", "begins"), [(1, b"one"), (2, b"two")])
def test_the_entry_that_is_named_is_taken(web: Web, fetch: Fetch, number: int, begins: bytes) -> None:
    got = fetch(two_films(web), playlist_items=number)
    assert got.file is not None
    assert Path(got.file).read_bytes().startswith(begins)


def test_an_entry_that_is_not_there_is_not_found(web: Web, fetch: Fetch) -> None:
    with pytest.raises(SourceNotFound):
        fetch(two_films(web), playlist_items=7)


# --- Where it must not lead ---------------------------------------------------------------------------------


def test_a_redirect_to_the_metadata_service_is_blocked(web: Web, fetch: Fetch) -> None:
    # The guard is to refuse it, not the tests' own.
    pytest_socket._remove_restrictions()
    web.answers["/talk.mp3"] = redirect("http://169.254.169.254/latest/meta-data/")
    with pytest.raises(BlockedAddress, match="link-local"):
        fetch(web.url("/talk.mp3"))


def test_a_redirect_to_a_server_of_the_own_network_is_blocked(web: Web, inner: Web, fetch: Fetch) -> None:
    web.answers["/talk.mp3"] = redirect(inner.url())
    with pytest.raises(BlockedAddress, match="this machine itself"):
        fetch(web.url("/talk.mp3"))


def test_a_page_s_film_on_the_own_network_is_blocked(web: Web, inner: Web, fetch: Fetch) -> None:
    web.answers["/film"] = page(film(inner.url("/film.mp4")))
    with pytest.raises(BlockedAddress, match="this machine itself"):
        fetch(web.url("/film"))


def test_captions_on_the_own_network_are_not_fetched(web: Web, inner: Web, fetch: Fetch) -> None:
    track = f'<track kind="subtitles" src="{inner.url("/captions.vtt")}" srclang="en">'
    web.answers |= {
        "/film": page(film("/film.mp4", tracks=track)),
        "/film.mp4": reply(body=SOUND, kind="video/mp4"),
    }
    got = fetch(web.url("/film"))
    assert got.file is not None
    assert got.warnings[0].startswith("The captions could not be fetched: This leads to this machine itself.")


@pytest.mark.parametrize(
    "host", ["[::ffff:127.0.0.1]", "[::1]", "127.0.0.1", "10.0.0.1", "[64:ff9b::7f00:1]"]
)
def test_numeric_addresses_of_the_own_network_are_blocked(inner: Web, fetch: Fetch, host: str) -> None:
    with pytest.raises(BlockedAddress):
        fetch(f"http://{host}:{inner.port}/")


@linux_only
def test_a_name_that_leads_to_the_own_network_is_blocked(
    inner: Web, fetch: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket

    resolve = socket.getaddrinfo

    def rebound(host: str, port: int, *args: object, **options: object) -> object:
        return resolve("127.0.0.1" if host == "films.example" else host, port, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", rebound)
    with pytest.raises(BlockedAddress, match="this machine itself"):
        fetch(f"http://films.example:{inner.port}/talk.mp3")


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://example.com/a.mp3", "ytsearch:harbour", "rtmp://x/y"]
)
def test_only_links_of_the_web_are_followed(fetch: Fetch, url: str) -> None:
    with pytest.raises(UnsupportedUrl):
        fetch(url)


def test_a_stream_with_a_part_on_the_disk_reads_no_disk(web: Web, fetch: Fetch) -> None:
    body = b"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\nfile:///etc/hostname\n#EXT-X-ENDLIST\n"
    web.answers["/talk.m3u8"] = reply(body=body, kind="application/vnd.apple.mpegurl")
    with pytest.raises(SyncBoardError) as caught:
        fetch(web.url("/talk.m3u8"))
    assert isinstance(caught.value, (SourceRefused, SourceNotFound, Unreachable))


@linux_only
def test_no_program_is_started_even_where_there_are_some(
    web: Web, fetch: Fetch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ffmpeg", "ffprobe", "deno", "node", "bun", "qjs"):
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\ntouch {tmp_path}/started-{name}\n", encoding="utf-8")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    web.answers["/talk.mp3"] = reply(body=SOUND, kind="audio/mpeg")
    assert fetch(web.url("/talk.mp3")).file is not None
    assert list(tmp_path.glob("started-*")) == []


def test_the_proxy_of_the_settings_is_asked(web: Web, fetch: Fetch) -> None:
    web.answers["http://films.example/talk.mp3"] = reply(body=SOUND, kind="audio/mpeg")
    got = fetch("http://films.example/talk.mp3", proxy=web.url().rstrip("/"))
    assert got.file is not None
    assert {asked.path for asked in web.asked} == {"http://films.example/talk.mp3"}


def test_cookies_are_sent_and_their_file_is_left_alone(web: Web, fetch: Fetch, tmp_path: Path) -> None:
    cookies = tmp_path / "cookies.txt"
    text = "# Netscape HTTP Cookie File\n127.0.0.1\tFALSE\t/\tFALSE\t4000000000\tvisitor\tseven\n"
    cookies.write_text(text, encoding="utf-8")
    web.answers["/talk.mp3"] = reply(body=SOUND, kind="audio/mpeg", Set_Cookie="other=eight")
    fetch(web.url("/talk.mp3"), cookies=str(cookies))
    assert "visitor=seven" in web.asked[0].headers["Cookie"]
    assert cookies.read_text(encoding="utf-8") == text


# --- Servers that lie and stall -----------------------------------------------------------------------------


def test_a_file_over_the_limit_is_refused_by_what_the_server_says(web: Web, fetch: Fetch) -> None:
    web.answers["/talk.mp3"] = reply(body=bytes(300_000), kind="audio/mpeg")
    with pytest.raises(TooLarge, match=r"larger than 0\.\d+ MB"):
        fetch(web.url("/talk.mp3"), max_bytes=100_000)


def test_a_file_without_end_is_stopped_at_the_limit(web: Web, fetch: Fetch) -> None:
    def sound(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "audio/mpeg")
        handler.end_headers()
        while not handler.server.closing.is_set():
            handler.wfile.write(bytes(65536))

    web.answers["/talk.mp3"] = sound
    with pytest.raises(TooLarge, match="larger than 1 MB"):
        fetch(web.url("/talk.mp3"))


@pytest.mark.parametrize("answer", [silent, dripping])
def test_a_server_that_stalls_ends_at_the_deadline(
    web: Web, fetch: Fetch, answer: Callable[[Handler], None]
) -> None:
    web.answers["/talk.mp3"] = answer
    with pytest.raises(Unreachable, match="within 1 seconds"):
        fetch(web.url("/talk.mp3"), seconds=1.0)


def test_a_page_without_end_is_no_film(web: Web, fetch: Fetch) -> None:
    web.answers["/film"] = endless
    with pytest.raises(SyncBoardError) as caught:
        fetch(web.url("/film"), seconds=10.0)
    assert isinstance(caught.value, (SourceNotFound, Unreachable, TooLarge))


@pytest.mark.parametrize("kind", ["text/html", "text/plain", "application/json"])
def test_a_page_without_a_film_is_told_from_a_film(web: Web, fetch: Fetch, kind: str) -> None:
    web.answers["/"] = reply(body=b"<html><body><p>Words only.</p></body></html>", kind=kind)
    with pytest.raises(SourceNotFound, match="no film or recording"):
        fetch(web.url())


@pytest.mark.parametrize(
    ("status", "kind"),
    [(404, SourceNotFound), (410, SourceNotFound), (403, SourceRefused), (503, Unreachable)],
)
def test_a_server_s_refusal_is_named(web: Web, fetch: Fetch, status: int, kind: type[SyncBoardError]) -> None:
    web.answers["/talk.mp3"] = reply(status)
    with pytest.raises(kind):
        fetch(web.url("/talk.mp3"))


# --- A link to text -----------------------------------------------------------------------------------------


def test_captions_become_a_document(web: Web, tmp_path: Path) -> None:
    web.answers |= {
        "/film": page(film("/film.mp4", tracks=TRACK)),
        "/film.mp4": reply(body=SOUND, kind="video/mp4"),
        "/captions.vtt": reply(body=CAPTIONS, kind="text/vtt"),
    }
    found = link_reader.read_link(web.url("/film"), place_in(tmp_path), password=None)
    assert (found.text, found.title) == ("The harbour opens at seven.", "Harbour film")
    assert (found.source_type, found.language, len(found.segments)) == ("video", "en", 2)
    assert found.metadata["captions"] == "written"
    assert found.metadata["webpage_url"] == web.url("/film")


def test_without_captions_the_downloaded_file_is_listened_to(
    web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from chalicelib.ingest.document import Extracted, Segment, Source
    from chalicelib.ingest.reading import Workplace

    def listen(source: Source, place: Workplace) -> Extracted:
        assert Path(source.path).read_bytes() == SOUND
        assert (source.kind, place.folder) == ("audio", tmp_path)
        said = Segment(start=0, end=1, text="Heard.")
        return Extracted(
            text="Heard.",
            title="media",
            source_type="audio",
            segments=(said,),
            metadata={"duration": "0:01"},
            warnings=("w",),
        )

    monkeypatch.setattr(link_reader, "read", listen)
    web.answers["/talk.mp3"] = reply(body=SOUND, kind="audio/mpeg")
    found = link_reader.read_link(web.url("/talk.mp3"), place_in(tmp_path))
    assert (found.text, found.title, found.warnings) == ("Heard.", "talk", ("w",))
    assert found.metadata["duration"] == "0:01"
    assert found.metadata["webpage_url"] == web.url("/talk.mp3")
