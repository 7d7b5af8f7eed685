"""Links to films and recordings: fetched in a guarded child, by yt-dlp."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from chalicelib import settings
from chalicelib.errors import ParserCrashed, Unreachable
from chalicelib.ingest.confinement import MB, Limits
from chalicelib.ingest.document import ProgressCallback, ignore_progress
from chalicelib.ingest.sandbox import run_sandboxed
from chalicelib.logs import logger
from chalicelib.media import downloading
from chalicelib.media.downloading import Chapter, MediaFetched, MediaOptions
from chalicelib.net.client import Authorities
from chalicelib.net.guard import network_policy
from chalicelib.net.urls import checked

__all__ = ["Chapter", "MediaFetched", "MediaOptions", "fetch_media", "options_of"]

# yt-dlp with its 1,800 sites' modules, and the largest pages that it parses.
_MEMORY_BYTES: Final = 768 * MB


def options_of(given: settings.Settings, *, seconds: float, password: str | None = None) -> MediaOptions:
    """Return the options that the settings state."""
    return MediaOptions(
        password=password,
        max_bytes=given.max_upload_bytes,
        max_seconds=given.max_media_seconds,
        seconds=seconds,
        proxy=given.media_proxy,
        cookies=given.media_cookies,
    )


def fetch_media(
    url: str,
    folder: Path,
    *,
    options: MediaOptions,
    on_progress: ProgressCallback = ignore_progress,
) -> MediaFetched:
    """Return the captions of what `url` shows, or have its sound put into `folder`; progress counts bytes.

    Each connection's address is judged when it is made, whatever the site redirects to. With a proxy only the
    proxy's is: the proxy must not reach what this service may not.

    Raise UnsupportedUrl, InvalidRequest (a playlist), BlockedAddress, SourceBlocked, SourceNotFound, SourceRefused,
    NeedsLogin, PasswordRequired, TooLong, TooLarge, InsecureConnection: permanent. Raise Unreachable: transient.
    """
    policy = network_policy()
    limits = Limits(
        memory_bytes=_MEMORY_BYTES,
        seconds=options.seconds,
        file_bytes=options.max_bytes + MB,
    )
    try:
        return run_sandboxed(
            downloading.fetch,
            checked(url, policy),
            str(folder.resolve()),
            options,
            result_type=MediaFetched,
            limits=limits,
            on_progress=on_progress,
            env=_certificates(),
            network=policy,
        )
    except ParserCrashed as crash:
        if crash.details["cause"] == "time_limit":
            raise Unreachable(
                f"The site did not give it out within {options.seconds:g} seconds.",
                limit_seconds=options.seconds,
            ) from crash
        logger.warning("the downloader broke", extra={"cause": crash.message})
        raise Unreachable("What the site answers can't be handled.") from crash


def _certificates() -> dict[str, str]:
    """Return where the trusted authorities are, as OpenSSL's own variables: the child's environment is scrubbed."""
    trusted = Authorities.of_system()
    found = {"SSL_CERT_FILE": trusted.file, "SSL_CERT_DIR": trusted.folder}
    return {name: value for name, value in found.items() if value}
