"""The public keys of an identity provider (a JSON Web Key Set, RFC 7517), fetched when they are needed and kept.

A key decides which algorithm it is for; a token never does. Only RSA keys of 2,048 bits and more (RS256) and keys on
the curve P-256 (ES256) are taken: a secret key that stands in a public set is no key for anything.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import Any, Final, NoReturn
from urllib.parse import urlsplit

import msgspec

from chalicelib.errors import Unavailable
from chalicelib.logs import logger
from chalicelib.settings import SettingsError

# Keys older than this are fetched again; while that fails, the old ones hold for this long (an issuer's outage is
# none of ours). Seconds.
MAX_AGE: Final = 3600.0
MAX_STALE: Final = 24 * 3600.0
# A key that is not there may be new; so often, at most, that is looked up. It bounds what forged tokens can cause.
REFRESH_SECONDS: Final = 60.0
# After a failed fetch, so long until the next one.
RETRY_SECONDS: Final = 5.0
_FETCH_SECONDS: Final = 5.0
_MAX_BYTES: Final = 256 * 1024
_MAX_KEYS: Final = 100
_LEAST_RSA_BITS: Final = 2048
_DISCOVERY: Final = "/.well-known/openid-configuration"


class PublicKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key, and the one algorithm that it verifies."""

    # RS256 or ES256.
    algorithm: str
    # A key of `cryptography`.
    key: Any


class KeySet:
    """The keys at one address, shared by the threads of a process."""

    def __init__(
        self,
        url: str,
        issuer: str,
        *,
        fetch: Callable[[str], bytes] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Take the address of a key set, or of an issuer's discovery document that names it."""
        self.url = url
        self.issuer = issuer
        self._fetch = fetch or fetch_json
        self._clock = clock
        self._lock = threading.Lock()
        self._keys: Mapping[str, PublicKey] = {}
        # When the keys were fetched, and when a fetch may be tried again.
        self._fetched_at = float("-inf")
        self._not_before = float("-inf")
        self._failed = False

    def find(self, kid: str) -> PublicKey | None:
        """Return the key of this id, or None. Raise Unavailable where it can't be known just now."""
        if found := self._kept(kid, MAX_AGE):
            return found
        # Who has a key that still holds does not wait while another thread asks for new ones.
        if self._lock.acquire(blocking=self._kept(kid, MAX_STALE) is None):
            try:
                self._refresh()
            finally:
                self._lock.release()
        found = self._kept(kid, MAX_STALE)
        if found is None and self._failed:
            raise Unavailable("The keys of the identity provider can't be fetched just now.")
        return found

    def _kept(self, kid: str, most: float) -> PublicKey | None:
        """Return a key that was fetched less than so many seconds ago."""
        return self._keys.get(kid) if 0 <= self._clock() - self._fetched_at < most else None

    def _refresh(self) -> None:
        """Fetch the keys, unless that was done or tried a moment ago. A failure is remembered, not raised."""
        if self._clock() < self._not_before:
            return
        try:
            self._keys = keys_of(self._fetch(self._address()))
        except Unavailable as error:
            logger.warning("the identity provider's keys can't be fetched", extra={"cause": error.message})
            self._failed, self._not_before = True, self._clock() + RETRY_SECONDS
        else:
            self._fetched_at = self._clock()
            self._failed, self._not_before = False, self._fetched_at + REFRESH_SECONDS

    def _address(self) -> str:
        if not self.url.endswith(_DISCOVERY):
            return checked(self.url)
        found = _object(self._fetch(checked(self.url)))
        if found.get("issuer") != self.issuer:
            raise Unavailable("The discovery document is another issuer's.")
        url = found.get("jwks_uri")
        if not isinstance(url, str):
            raise Unavailable("The discovery document names no keys.")
        return checked(url)


def keys_of(document: bytes) -> dict[str, PublicKey]:
    """Read a key set; what is no key for verifying tokens is passed over. Raise Unavailable for anything else."""
    listed = _object(document).get("keys")
    if not isinstance(listed, list):
        raise Unavailable("What the identity provider answers is no key set.")
    found: dict[str, PublicKey] = {}
    for entry in listed[:_MAX_KEYS]:
        kid = entry.get("kid") if isinstance(entry, dict) else None
        if isinstance(kid, str) and kid not in found and (key := _public_key(entry)):
            found[kid] = key
    return found


def _public_key(entry: dict[str, Any]) -> PublicKey | None:
    # `cryptography` is large: it is loaded where an identity provider is configured, and only there.
    import jwt

    algorithm = {"RSA None": "RS256", "EC P-256": "ES256"}.get(f"{entry.get('kty')} {entry.get('crv')}")
    if algorithm is None or entry.get("use", "sig") != "sig" or entry.get("alg", algorithm) != algorithm:
        return None
    try:
        key = jwt.PyJWK(
            {name: entry[name] for name in ("kty", "crv", "n", "e", "x", "y") if name in entry}, algorithm
        )
    except (jwt.PyJWTError, ValueError, TypeError):
        return None
    if algorithm == "RS256" and key.key.key_size < _LEAST_RSA_BITS:
        return None
    return PublicKey(algorithm=algorithm, key=key.key)


# --- Fetching ------------------------------------------------------------------------------------------------


def checked(url: str) -> str:
    """Return an address that keys may come from: https, or this very machine. Raise SettingsError."""
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.hostname:
        return url
    if parts.scheme == "http" and _is_loopback(parts.hostname or ""):
        return url
    raise SettingsError("SYNCBOARD_JWT_JWKS_URL must be an https address.")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def fetch_json(url: str) -> bytes:
    """Get a small document: 256 KB and 5 s at most, no redirect. Raise Unavailable."""
    import urllib3

    deadline = time.monotonic() + _FETCH_SECONDS
    timeout = urllib3.Timeout(connect=2.0, read=2.0)
    with urllib3.PoolManager(timeout=timeout, retries=False) as pool:
        try:
            answer = pool.request(
                "GET", url, redirect=False, preload_content=False, headers={"Accept": "application/json"}
            )
            if answer.status != 200:
                raise Unavailable(f"It answers HTTP {answer.status}.")
            body = b""
            # As it comes: a server that sends a byte now and then would hold a plain read for ever.
            while chunk := answer.read1(64 * 1024):
                body += chunk
                if len(body) > _MAX_BYTES or time.monotonic() > deadline:
                    _refuse(answer)
            return body
        except urllib3.exceptions.HTTPError as error:
            raise Unavailable(f"It can't be reached: {type(error).__name__}.") from None


def _refuse(answer: Any) -> NoReturn:
    answer.close()
    raise Unavailable("Its answer is too long or too slow.")


def _object(document: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(document, type=dict[str, Any])
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        raise Unavailable("What it answers is no JSON object.") from None
