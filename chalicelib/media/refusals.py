"""What yt-dlp's errors mean for the person who sent the link: its exceptions and messages to our tree."""

from __future__ import annotations

import re
from typing import Final

import yt_dlp.networking.exceptions as network
import yt_dlp.utils as ytdlp

from chalicelib.errors import (
    InsecureConnection,
    NeedsLogin,
    PasswordRequired,
    SourceBlocked,
    SourceNotFound,
    SourceRefused,
    SyncBoardError,
    Unreachable,
    UnsupportedUrl,
)

# Sites whose 403 and 429 are about the asking machine, not about the film.
_BLOCKING_SITES: Final = ("youtube", "youtu.be", "googlevideo")

_NO_MEDIA: Final = "There is no film or recording at this link."
_BLOCKED: Final = (
    "The site does not serve this machine: it wants a person's browser. Upload the file instead, or have the "
    "operator set a proxy or cookies (SYNCBOARD_MEDIA_PROXY, SYNCBOARD_MEDIA_COOKIES)."
)

# What messages say (by yt-dlp's own words and those of the sites that it passes on), which error that is, and what
# it says here. The first that fits counts.
_MEANINGS: Final[tuple[tuple[re.Pattern[str], type[SyncBoardError], str], ...]] = tuple(
    (re.compile(pattern, re.I), kind, message)
    for pattern, kind, message in (
        (
            r"not a bot|captcha|rate.?limit|too many requests|\bIP\b.{0,40}\bblocked|blocked.{0,40}\bIP\b"
            r"|javascript runtime|challenge solving|unusual traffic|impersonat|cloudflare",
            SourceBlocked,
            _BLOCKED,
        ),
        (
            r"not (?:made this video )?available (?:in|from) your (?:country|location|region)|geo.?restrict",
            SourceBlocked,
            "The site does not show this in the country that this service is in.",
        ),
        (
            r"protected by a password|video.?password|wrong (?:video )?password|incorrect password",
            PasswordRequired,
            "The film is protected by a password: submit the link again with it.",
        ),
        (
            r"confirm your age|age.?restricted|private (?:video|account)|video is private|members?.only"
            r"|join this channel|log.?in|sign.?in|logged.?in|registered users|subscribers? only|premium"
            r"|authentication|account cookies",
            NeedsLogin,
            "The site shows this to members or signed-in people only.",
        ),
        (r"\bDRM\b", SourceRefused, "The film is protected against copying (DRM)."),
        (
            r"is(?:n't| not) (?:currently )?live|will begin|premieres? in|offline|live event (?:has ended|will)"
            r"|upcoming",
            UnsupportedUrl,
            "This is a live broadcast without a recording.",
        ),
        (
            r"unsupported url|no video (?:could be )?found|no media|no video in|no suitable extractor",
            SourceNotFound,
            _NO_MEDIA,
        ),
        (
            r"video (?:is )?(?:unavailable|no longer available|not available)|does(?:n't| not) exist"
            r"|has been (?:removed|deleted|terminated)|not found|been taken down|removed by",
            SourceNotFound,
            "There is no film or recording at this link any more.",
        ),
        (
            r"timed? ?out|connection (?:reset|refused|aborted)|name resolution|name or service not known"
            r"|network is unreachable|incomplete|unable to connect|bytes read",
            Unreachable,
            "The site can't be reached, or breaks off.",
        ),
    )
)
# What yt-dlp adds for its own users: where to report, which option of its command line to use.
_ADVICE = re.compile(
    r"(?:;\s*)?please report this issue.*|\buse --\S.*|see\s+https?://\S+.*|confirm you are on.*", re.I | re.S
)
_PREFIX = re.compile(r"\A(?:\x1b\[[\d;]*m|ERROR:|\s|\[[^\]\n]*\]|[\w-]+:(?=\s))+")
_MAX_CHARACTERS: Final = 200


def meaning(error: BaseException, url: str, *, hints: str = "") -> SyncBoardError:
    """Return the error of our tree that yt-dlp's `error` about `url` is; `hints`: what it warned of before.

    SourceBlocked, NeedsLogin, PasswordRequired, SourceNotFound, SourceRefused, InsecureConnection, UnsupportedUrl:
    permanent. Unreachable: transient.
    """
    found = list(_chain(error))
    for each in found:
        if isinstance(each, SyncBoardError):
            return each
    for each in found:
        if plain := _by_type(each, url):
            return plain
    message = " ".join(str(each) for each in found)
    if _is_blocking_site(url):
        message = f"{message} {hints}"
    for pattern, kind, text in _MEANINGS:
        if pattern.search(message):
            return kind(text)
    if _is_blocking_site(url) and "format is not available" in message:
        return SourceBlocked(_BLOCKED)
    return SourceRefused(f"The film can't be fetched from this site: {_first_sentence(str(error))}")


def no_formats(url: str, hints: str) -> SyncBoardError:
    """Return the error for a film of which the site offers nothing to download."""
    return meaning(ytdlp.DownloadError("Requested format is not available"), url, hints=hints)


def _chain(error: BaseException) -> list[BaseException]:
    """Return `error` and what it came of: yt-dlp wraps, by attributes and by Python's own context."""
    found: list[BaseException] = []
    waiting: list[object] = [error]
    while waiting:
        each = waiting.pop(0)
        if isinstance(each, BaseException) and each not in found:
            found.append(each)
            information = getattr(each, "exc_info", None) or ()
            waiting += [*information[1:2], getattr(each, "cause", None), each.__cause__, each.__context__]
            # What its HTTP clients ran into that is no error of theirs: our own, by the sandbox's hook.
            waiting += getattr(each, "unexpected_errors", ())
    return found


def _by_type(error: BaseException, url: str) -> SyncBoardError | None:
    match error:
        case ytdlp.UnsupportedError():
            return SourceNotFound(_NO_MEDIA)
        case ytdlp.GeoRestrictedError():
            return SourceBlocked("The site does not show this in the country that this service is in.")
        case network.CertificateVerifyError():
            return InsecureConnection("The site's certificate is not valid for this link.")
        case network.HTTPError():
            return _by_status(error.status, url)
        case network.TransportError():
            return Unreachable("The site can't be reached, or breaks off.")
    return None


def _by_status(status: int, url: str) -> SyncBoardError | None:
    if status in (404, 410):
        return SourceNotFound(f"There is nothing at this link (HTTP {status}).", status=status)
    if status in (403, 429) and _is_blocking_site(url):
        return SourceBlocked(_BLOCKED, status=status)
    if status == 401:
        return NeedsLogin("The site shows this to signed-in people only (HTTP 401).", status=status)
    if status in (408, 425, 429) or status >= 500:
        return Unreachable(f"The site answers HTTP {status}.", status=status)
    return SourceRefused(f"The site does not give this out (HTTP {status}).", status=status)


def _is_blocking_site(url: str) -> bool:
    host = url.partition("://")[2].partition("/")[0]
    return any(name in host for name in _BLOCKING_SITES)


def _first_sentence(message: str) -> str:
    plain = _ADVICE.sub("", _PREFIX.sub("", message)).strip(" ;.\n")
    return f"{plain[:_MAX_CHARACTERS]}."
