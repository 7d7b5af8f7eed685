"""yt-dlp as a library: what a link to a film leads to. Only ever run in the sandbox, with a network policy.

Captions first: they are written by people, or cost the site's machine instead of ours, and take a few KB. Else the
sound alone. There is no ffmpeg and no JavaScript runtime: the sandbox refuses programs, yt-dlp does without.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
import yt_dlp

from chalicelib.errors import InvalidRequest, SyncBoardError, TooLarge, UnsupportedUrl
from chalicelib.ingest.document import ProgressCallback, Segment, ignore_progress
from chalicelib.media import captions, refusals
from chalicelib.media.captions import Track
from chalicelib.media.decoding import too_long

MB: Final = 1024 * 1024
# The sound alone; else the smallest film that is not too poor to hear; else whatever there is.
_FORMAT: Final = "bestaudio/best[height<=?480]/worst"
_SOCKET_SECONDS: Final = 20.0
# yt-dlp's names for pages of which it knows nothing but HTML.
_PAGES: Final = ("Generic", "HTML5MediaEmbed")
_MAX_CAPTION_BYTES: Final = 16 * MB
_MAX_WARNINGS: Final = 20


class Chapter(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a film, as its author named it."""

    # Seconds from the start.
    start: float
    title: str


class MediaOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How to fetch, and how much."""

    # Languages of captions, the preferred first; empty: the one that is spoken.
    languages: tuple[str, ...] = ()
    # Which entry of a playlist to take (1 is the first); None: a playlist is refused.
    playlist_items: int | None = None
    # Password of the film itself.
    password: str | None = None
    # Largest file, in bytes.
    max_bytes: int = 2048 * MB
    # Longest film or recording without captions, in seconds.
    max_seconds: int = 4 * 3600
    # Wall time for all of it, in seconds.
    seconds: float = 600.0
    # URL of a proxy; None: none, whatever the environment says.
    proxy: str | None = None
    # Path of a file of cookies (Netscape's format). It is read, never written.
    cookies: str | None = None


class MediaFetched(msgspec.Struct, frozen=True, kw_only=True):
    """What a link led to: captions or a file, and what the site says about it."""

    title: str
    # Who published it.
    channel: str | None = None
    # Seconds; None: the site does not say.
    duration: float | None = None
    # Date of publication: 2026-03-09.
    published: str | None = None
    # Language that is spoken, as the site says, or that the captions are in.
    language: str | None = None
    # Where the film is shown.
    webpage_url: str
    # Name of the site, as yt-dlp has it: "youtube".
    site: str
    chapters: tuple[Chapter, ...] = ()
    # What the captions say; empty: there are none, `file` is the sound.
    captions: tuple[Segment, ...] = ()
    # The captions are a machine's.
    automatic: bool = False
    # Path of the sound or film in the folder that was given; None: there are captions.
    file: str | None = None
    # "audio" where there is no picture, else "video".
    kind: str = "video"
    warnings: tuple[str, ...] = ()


def fetch(
    url: str, folder: str, options: MediaOptions, *, on_progress: ProgressCallback = ignore_progress
) -> MediaFetched:
    """Fetch captions or sound of what `url` shows, into `folder`; progress counts bytes.

    Raise InvalidRequest for a playlist, TooLong, TooLarge, and what `refusals.meaning` gives.
    """
    downloader = _Downloader(url, Path(folder), options, on_progress)
    with downloader.opened():
        return downloader.run()


class _Warnings:
    """Takes yt-dlp's messages; its warnings tell why there are no formats."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        # A file was passed over for its size, of which yt-dlp says no more than this.
        self.over_limit = False

    def debug(self, message: str) -> None:
        """Pass over what is for people at a terminal, but for one thing."""
        self.over_limit = self.over_limit or "larger than max-filesize" in message

    info = debug

    def warning(self, message: str) -> None:
        """Keep the first few."""
        if len(self.lines) < _MAX_WARNINGS:
            self.lines.append(message)

    error = warning


class _Downloader:
    """One link, from its page to captions or a file."""

    def __init__(self, url: str, folder: Path, options: MediaOptions, on_progress: ProgressCallback) -> None:
        self._url = url
        self._folder = folder
        self._options = options
        self._on_progress = on_progress
        self._warnings = _Warnings()
        self._notes: list[str] = []
        self._ydl: Any = None

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Hold yt-dlp open; whatever it raises, leave as an error of our tree."""
        try:
            with yt_dlp.YoutubeDL(self._parameters()) as self._ydl:
                yield
        except (yt_dlp.utils.YoutubeDLError, OSError) as error:
            raise self._meaning(error) from None

    def run(self) -> MediaFetched:
        """Return what the link leads to."""
        info = self._film()
        if info.get("is_live") or info.get("live_status") in ("is_live", "is_upcoming"):
            raise UnsupportedUrl("This is a live broadcast: submit its recording when it has ended.")
        track = captions.chosen(
            _offered(info, "subtitles"),
            _offered(info, "automatic_captions"),
            wanted=self._options.languages,
            spoken=info.get("language"),
        )
        said = self._said(info, track) if track else ()
        if track and said:
            return self._told(
                info, captions=said, automatic=track.automatic, language=track.language.removesuffix("-orig")
            )
        file = self._sound(info)
        return self._told(info, file=str(file), language=info.get("language"))

    def _film(self) -> dict[str, Any]:
        """Return what the site says of the film; of a playlist's entry where one is named."""
        info = self._extracted(self._url)
        if info.get("_type") not in ("playlist", "multi_video"):
            return info
        entries = [entry for entry in info.get("entries") or () if entry]
        if not entries:
            raise refusals.meaning(yt_dlp.utils.DownloadError("no video found in the list"), self._url)
        if self._options.playlist_items is None and len(entries) > 1:
            raise InvalidRequest(
                "The link leads to a playlist, and a document is one film: link one of them, or say which one "
                "to take by the option playlist_items (1 is the first).",
                option="playlist_items",
            )
        entry = entries[0]
        if entry.get("url") and not entry.get("formats"):
            return self._extracted(entry["url"])
        return dict(entry)

    def _extracted(self, url: str) -> dict[str, Any]:
        return dict(self._ydl.extract_info(url, download=False) or {})

    def _said(self, info: Mapping[str, Any], track: Track) -> tuple[Segment, ...]:
        """Return what the captions say; nothing where they can't be fetched, for there is still the sound."""
        self._on_progress(0, 0, "Fetching captions")
        if isinstance(data := track.source.get("data"), str):
            return captions.parse(data[:_MAX_CAPTION_BYTES])
        path = self._folder / f"captions.{track.format}"
        source = {"http_headers": info.get("http_headers") or {}, **track.source}
        try:
            self._ydl.dl(str(path), source, subtitle=True)
        except (yt_dlp.utils.YoutubeDLError, OSError) as error:
            self._notes.append(f"The captions could not be fetched: {self._meaning(error).message}")
            return ()
        if not path.is_file() or path.stat().st_size > _MAX_CAPTION_BYTES:
            return ()
        return captions.parse(path.read_text(encoding="utf-8", errors="replace"))

    def _sound(self, info: Mapping[str, Any]) -> Path:
        """Download the sound; return its path, which is there."""
        if (info.get("duration") or 0) > self._options.max_seconds:
            raise too_long(self._options.max_seconds)
        if not info.get("formats") and not info.get("url"):
            raise refusals.no_formats(self._url, self._hints())
        self._on_progress(0, 0, "Fetching the sound")
        # Captions are done with: yt-dlp would try them again, and fail for them.
        self._ydl.params.update(writesubtitles=False, writeautomaticsub=False)
        self._ydl.process_ie_result(
            self._ydl.sanitize_info(dict(info), remove_private_keys=True), download=True
        )
        found = [path for path in self._folder.glob("media.*") if path.is_file() and path.stat().st_size]
        # yt-dlp does not say that a file was over the limit: it is not there.
        if not found:
            if self._warnings.over_limit:
                raise self._too_large()
            raise refusals.no_formats(self._url, self._hints())
        return max(found, key=lambda path: path.stat().st_size)

    def _told(self, info: Mapping[str, Any], **fetched: Any) -> MediaFetched:
        formats = [each for each in info.get("formats") or () if each.get("acodec") != "none"]
        silent = bool(formats) and all(each.get("vcodec") == "none" for each in formats)
        published = str(info.get("upload_date") or "")
        return MediaFetched(
            title=_title(info),
            channel=info.get("channel") or info.get("uploader"),
            duration=float(info["duration"]) if info.get("duration") else None,
            published=f"{published[:4]}-{published[4:6]}-{published[6:8]}" if len(published) == 8 else None,
            webpage_url=str(info.get("webpage_url") or self._url),
            site=str(info.get("extractor_key") or "").lower(),
            chapters=tuple(_chapters(info)),
            kind="audio" if silent else "video",
            warnings=tuple(self._notes),
            **fetched,
        )

    def _meaning(self, error: BaseException) -> SyncBoardError:
        return refusals.meaning(error, self._url, hints=self._hints())

    def _hints(self) -> str:
        return " ".join(self._warnings.lines)

    def _too_large(self) -> TooLarge:
        limit = self._options.max_bytes
        return TooLarge(f"The film is larger than {limit / MB:g} MB.", limit_bytes=limit)

    def _watch(self, status: Mapping[str, Any]) -> None:
        """Pass progress on; stop a download that outgrows the limit while it streams."""
        done = int(status.get("downloaded_bytes") or 0)
        if done > self._options.max_bytes:
            raise self._too_large()
        total = int(status.get("total_bytes") or status.get("total_bytes_estimate") or 0)
        self._on_progress(done, max(done, total), "Fetching")

    def _parameters(self) -> dict[str, Any]:
        options = self._options
        items = (
            {"playlist_items": str(options.playlist_items)} if options.playlist_items else {"playlistend": 2}
        )
        return {
            **items,
            "format": _FORMAT,
            "outtmpl": {"default": str(self._folder / "media.%(ext)s")},
            "noplaylist": options.playlist_items is None,
            "extract_flat": "in_playlist",
            # A site may block the film and still give its captions.
            "ignore_no_formats_error": True,
            "writesubtitles": True,
            "writeautomaticsub": True,
            "max_filesize": options.max_bytes,
            "socket_timeout": _SOCKET_SECONDS,
            "retries": 2,
            "fragment_retries": 2,
            "extractor_retries": 1,
            "skip_unavailable_fragments": False,
            "nopart": True,
            "continuedl": False,
            "updatetime": False,
            "cachedir": False,
            "fixup": "never",
            "js_runtimes": {},
            "proxy": options.proxy or "",
            "cookiefile": _copy_of(options.cookies),
            "videopassword": options.password,
            # OpenSSL's own places, which the sandbox's environment names, not certifi's list.
            "compat_opts": {"no-certifi"},
            "logger": self._warnings,
            "progress_hooks": [self._watch],
            "noprogress": True,
            "quiet": True,
            "color": "never",
        }


def _copy_of(cookies: str | None) -> str | None:
    """Return a copy of the cookies in the working directory: yt-dlp writes its own back when it ends."""
    return str(shutil.copyfile(cookies, Path.cwd() / "cookies.txt")) if cookies else None


def _offered(info: Mapping[str, Any], key: str) -> dict[str, list[dict[str, Any]]]:
    return {str(language): list(formats or ()) for language, formats in (info.get(key) or {}).items()}


def _title(info: Mapping[str, Any]) -> str:
    title = str(info.get("title") or info.get("id") or "")
    # A page's first film is "Title of the page (1)" to yt-dlp.
    return title.removesuffix(" (1)") if info.get("extractor_key") in _PAGES else title


def _chapters(info: Mapping[str, Any]) -> Iterator[Chapter]:
    for chapter in info.get("chapters") or ():
        if chapter.get("title") and chapter.get("start_time") is not None:
            yield Chapter(start=float(chapter["start_time"]), title=str(chapter["title"]))
