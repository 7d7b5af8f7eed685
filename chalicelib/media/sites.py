"""Which links are films or recordings by their address alone. Light: the API imports it, and no downloader.

Any other link is fetched as a page or file first; what turns out to be sound or film goes the same way then.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

# Host (with all of its subdomains) and what the path of a film there looks like. Sites whose pages are mostly text
# are not here: their films are found on the page.
_SITES: Final = {
    host: re.compile(path)
    for host, path in (
        ("youtube.com", r"/(?:watch\b|shorts/|live/|embed/|v/|playlist\b|clip/|@[^/]+/(?:videos|live))"),
        ("youtube-nocookie.com", r"/embed/"),
        ("youtu.be", r"/[\w-]{6,}"),
        ("vimeo.com", r"/(?:video/|channels/[^/]+/|groups/[^/]+/videos/|showcase/\d+/video/)?\d{3,}"),
        ("dailymotion.com", r"/(?:video|embed/video|playlist)/"),
        ("dai.ly", r"/\w+"),
        ("twitch.tv", r"/(?:videos/\d+|[^/]+/(?:clip|v)/)"),
        ("clips.twitch.tv", r"/\w"),
        ("soundcloud.com", r"/[^/]+/[^/]+"),
        ("mixcloud.com", r"/[^/]+/[^/]+"),
        ("bandcamp.com", r"/(?:track|album)/"),
        ("ted.com", r"/talks/"),
        ("media.ccc.de", r"/v/"),
        ("rumble.com", r"/(?:v[\w]+-|embed/)"),
        ("odysee.com", r"/@[^/]+/[^/]+"),
        ("bilibili.com", r"/(?:video|bangumi/play)/"),
        ("b23.tv", r"/\w+"),
        ("tiktok.com", r"/@[^/]+/video/"),
        ("loom.com", r"/share/"),
        ("streamable.com", r"/\w+"),
        ("podcasts.apple.com", r"/.+/podcast/.*"),
        ("peertube.tv", r"/(?:w|videos/watch)/"),
        ("framatube.org", r"/(?:w|videos/watch)/"),
    )
}


def is_media_site(url: str) -> bool:
    """Tell whether `url` (http or https) names a film or recording on a site that is known for them."""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").removesuffix(".")
    except ValueError:
        return False
    if parts.scheme not in ("http", "https"):
        return False
    labels = host.split(".")
    candidates = (".".join(labels[index:]) for index in range(len(labels)))
    pattern = next((_SITES[name] for name in candidates if name in _SITES), None)
    return pattern is not None and pattern.match(parts.path) is not None


def is_stream(url: str) -> bool:
    """Tell whether `url` names a stream by its parts (HLS, DASH), which only a downloader puts together."""
    try:
        return urlsplit(url).path.lower().endswith((".m3u8", ".mpd"))
    except ValueError:
        return False
