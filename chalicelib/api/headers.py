"""Headers that say how little may be done with an answer."""

from __future__ import annotations

from typing import Final

# On every answer. The page's own policy is in `api.page`; everything else is data and loads nothing.
SECURITY_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
}
# On answers that came by TLS: two years, as browsers' lists want it.
STRICT_TRANSPORT: Final = "max-age=63072000"
# What a page of another origin may read beside the body.
EXPOSED: Final = "Content-Disposition, ETag, Location, Retry-After, X-Next-Cursor"
