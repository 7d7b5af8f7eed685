"""What yt-dlp's errors mean. Messages as yt-dlp 2026.10 has them, or as the sites word them."""

from __future__ import annotations

import io

import pytest
import yt_dlp.networking.exceptions as network
import yt_dlp.utils as ytdlp
from yt_dlp.networking import Response

from chalicelib.errors import (
    BlockedAddress,
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
from chalicelib.media.refusals import meaning, no_formats

YOUTUBE = "https://www.youtube.com/watch?v=abcdefghijk"
OTHER = "https://films.example/1"


def wrapped(cause: Exception) -> ytdlp.DownloadError:
    """Return `cause` as yt-dlp hands it out: in an ExtractorError in a DownloadError."""
    inner = ytdlp.ExtractorError("Unable to download webpage", cause=cause, expected=True)
    return ytdlp.DownloadError(f"ERROR: {inner}", (type(inner), inner, None))


def http(status: int) -> network.HTTPError:
    return network.HTTPError(Response(io.BytesIO(), OTHER, {}, status=status))


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        (
            "[youtube] abc: Sign in to confirm you’re not a bot. Use --cookies-from-browser or --cookies",
            SourceBlocked,
        ),
        (
            "[youtube] abc: This content isn't available. The current session has been rate-limited by YouTube",
            SourceBlocked,
        ),
        (
            "[youtube] abc: Sign in to confirm your age. This video may be inappropriate for some users.",
            NeedsLogin,
        ),
        ("[youtube] abc: Private video. Sign in if you've been granted access to this video", NeedsLogin),
        (
            "[youtube] abc: Join this channel to get access to members-only content like this video",
            NeedsLogin,
        ),
        ("[youtube] abc: Video unavailable. This video has been removed by the uploader", SourceNotFound),
        ("[youtube] abc: Video unavailable", SourceNotFound),
        ("[youtube] abc: The uploader has not made this video available in your country", SourceBlocked),
        ("[youtube] abc: Premieres in 3 hours", UnsupportedUrl),
        (
            "[vimeo] 1: This video is protected by a password, use the --video-password option",
            PasswordRequired,
        ),
        (
            "[vimeo] 1: The web client only works when logged-in. Use --cookies for the authentication",
            NeedsLogin,
        ),
        ("[twitch:stream] x: The channel is not currently live", UnsupportedUrl),
        ("[films] 1: This video is DRM protected", SourceRefused),
        ("[generic] x: Unable to download webpage: Read timed out", Unreachable),
    ],
)
def test_messages_have_their_meaning(message: str, kind: type[SyncBoardError]) -> None:
    found = meaning(ytdlp.DownloadError(f"ERROR: {message}"), YOUTUBE)
    assert type(found) is kind
    assert "--" not in found.message


@pytest.mark.parametrize(
    ("status", "url", "kind"),
    [
        (403, YOUTUBE, SourceBlocked),
        (429, YOUTUBE, SourceBlocked),
        (403, OTHER, SourceRefused),
        (429, OTHER, Unreachable),
        (401, OTHER, NeedsLogin),
        (404, YOUTUBE, SourceNotFound),
        (410, OTHER, SourceNotFound),
        (500, YOUTUBE, Unreachable),
        (503, OTHER, Unreachable),
    ],
)
def test_statuses_have_their_meaning(status: int, url: str, kind: type[SyncBoardError]) -> None:
    assert type(meaning(wrapped(http(status)), url)) is kind


@pytest.mark.parametrize(
    ("cause", "kind"),
    [
        (network.TransportError("reset"), Unreachable),
        (network.CertificateVerifyError("expired"), InsecureConnection),
        (ytdlp.UnsupportedError(OTHER), SourceNotFound),
        (ytdlp.GeoRestrictedError("not here"), SourceBlocked),
    ],
)
def test_types_have_their_meaning(cause: Exception, kind: type[SyncBoardError]) -> None:
    assert type(meaning(wrapped(cause), OTHER)) is kind


def test_an_error_of_our_own_tree_comes_out_from_under_all_wrappings() -> None:
    own = BlockedAddress("This leads to a private network.")
    assert meaning(wrapped(network.NoSupportingHandlers([], [own])), OTHER) is own
    assert meaning(wrapped(own), OTHER) is own


def test_youtube_without_formats_is_blocking_this_machine() -> None:
    hints = "[youtube] abc: No supported JavaScript runtime could be found."
    assert type(no_formats(YOUTUBE, hints)) is SourceBlocked
    assert type(no_formats(YOUTUBE, "")) is SourceBlocked
    assert type(no_formats(OTHER, hints)) is SourceRefused


def test_an_unknown_error_is_told_without_advice_for_the_command_line() -> None:
    message = (
        "ERROR: [films] 1: Unable to extract title; please report this issue on https://github.com/x/y , "
        "filling out the template. Confirm you are on the latest version using -U"
    )
    found = meaning(ytdlp.DownloadError(message), OTHER)
    assert found.message == "The film can't be fetched from this site: Unable to extract title."
    assert type(found) is SourceRefused


def test_causes_that_go_round_in_a_circle_end() -> None:
    one, two = ytdlp.ExtractorError("one", expected=True), ytdlp.ExtractorError("two", expected=True)
    one.cause, two.cause = two, one
    assert type(meaning(one, OTHER)) is SourceRefused
