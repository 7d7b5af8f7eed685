"""What is made of what a site says about a film, and of the settings: yt-dlp itself is not asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from chalicelib import settings
from chalicelib.errors import TooLong, UnsupportedUrl
from chalicelib.media import downloading
from chalicelib.media.downloading import MediaFetched, MediaOptions
from chalicelib.media.links import options_of

CAPTIONS = (
    "WEBVTT\n\n00:00:01.000 --> 00:00:02.500\nThe harbour opens\n\n00:00:02.500 --> 00:00:04.000\nat seven.\n"
)


class Site:
    """Stands for yt-dlp: says that a film is there, and remembers what was downloaded."""

    def __init__(self, info: dict[str, object]) -> None:
        self._info = info

    def extract_info(self, _url: str, *, download: bool) -> dict[str, object]:
        assert not download
        return self._info


def told(tmp_path: Path, **info: object) -> MediaFetched:
    downloader = downloading._Downloader(
        "https://films.example/1", tmp_path, MediaOptions(), lambda *_report: None
    )
    downloader._ydl = Site({"title": "A film", "extractor_key": "Films", **info})
    return downloader.run()


def test_a_film_over_the_limit_is_refused_before_it_is_downloaded(tmp_path: Path) -> None:
    with pytest.raises(TooLong, match="4 hours"):
        told(tmp_path, duration=5 * 3600, formats=[{"url": "x"}])


def test_captions_of_a_film_over_the_limit_are_taken_all_the_same(tmp_path: Path) -> None:
    subtitles = {"en": [{"ext": "vtt", "data": CAPTIONS}]}
    assert len(told(tmp_path, duration=5 * 3600, subtitles=subtitles).captions) == 2


def test_a_live_broadcast_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedUrl, match="live broadcast"):
        told(tmp_path, is_live=True, formats=[{"url": "x"}])


def test_what_the_site_says_of_a_film_is_kept(tmp_path: Path) -> None:
    got = told(
        tmp_path,
        channel="Harbour TV",
        duration=61,
        upload_date="20260309",
        webpage_url="https://films.example/watch/1",
        chapters=[{"start_time": 0, "title": "Tides"}, {"start_time": 30.5, "title": "Ships"}, {"title": ""}],
        automatic_captions={"en-orig": [{"ext": "vtt", "data": CAPTIONS}]},
    )
    assert (got.channel, got.duration, got.published) == ("Harbour TV", 61.0, "2026-03-09")
    assert [(chapter.start, chapter.title) for chapter in got.chapters] == [(0.0, "Tides"), (30.5, "Ships")]
    assert (got.automatic, got.language, got.site) == (True, "en", "films")


def test_the_settings_become_options() -> None:
    given = settings.Settings(
        media_proxy="http://proxy:3128", media_cookies="/c", max_media_seconds=60, max_upload_bytes=9
    )
    got = options_of(given, seconds=5, password="p")
    assert got == MediaOptions(
        password="p", max_bytes=9, max_seconds=60, seconds=5, proxy="http://proxy:3128", cookies="/c"
    )
