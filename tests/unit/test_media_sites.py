"""Which links are films by their address."""

from __future__ import annotations

import pytest

from chalicelib.media.sites import is_media_site
from tests.unit.test_imports import HEAVY, modules_after


@pytest.mark.parametrize(
    "url",
    [
        "https://www.youtube.com/watch?v=dQw4w9WgXcQ",
        "http://youtube.com/watch?v=dQw4w9WgXcQ&t=4s",
        "https://m.youtube.com/shorts/abcdefghijk",
        "https://music.youtube.com/watch?v=abcdefghijk",
        "https://www.youtube.com/playlist?list=PL123",
        "https://www.youtube-nocookie.com/embed/dQw4w9WgXcQ",
        "https://youtu.be/dQw4w9WgXcQ?si=x",
        "https://YOUTUBE.com./watch?v=dQw4w9WgXcQ",
        "https://vimeo.com/76979871",
        "https://player.vimeo.com/video/76979871",
        "https://www.twitch.tv/videos/123",
        "https://soundcloud.com/artist/track",
        "https://artist.bandcamp.com/album/name",
        "https://www.ted.com/talks/a_talk",
        "https://media.ccc.de/v/38c3-talk",
    ],
)
def test_films_on_known_sites_are_known(url: str) -> None:
    assert is_media_site(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://www.youtube.com/",
        "https://www.youtube.com/about/press/",
        "https://vimeo.com/about",
        "https://vimeo.com/features/livestreaming",
        "https://www.ted.com/about",
        "https://example.com/watch?v=dQw4w9WgXcQ",
        "https://youtube.com.example.org/watch?v=dQw4w9WgXcQ",
        "https://notyoutube.com/watch?v=dQw4w9WgXcQ",
        "https://example.org/https://youtube.com/watch?v=1",
        "ftp://youtube.com/watch?v=1",
        "youtube.com/watch?v=1",
        "https://[::1",
        "",
    ],
)
def test_pages_and_other_hosts_are_not(url: str) -> None:
    assert not is_media_site(url)


def test_asking_imports_nothing_heavy() -> None:
    assert modules_after("import chalicelib.media.sites") & (HEAVY | {"av", "yt_dlp"}) == set()
