"""Tokens of an identity provider: right ones are taken, and everything that only looks like one is not."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Event, Thread
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from chalicelib import settings
from chalicelib.api import keyset, tokens
from chalicelib.api.keyset import KeySet, keys_of
from chalicelib.errors import Unauthorized, Unavailable
from chalicelib.settings import SettingsError
from infra.templates import FUNCTIONS, read
from tests.caches import forget
from tests.stack import ROOT, eventually
from tests.unit.conftest import Api

ISSUER = "https://issuer.example.com/pool"
CLIENT = "client-1"
SUBJECT = "0b54a3b6-4f3c-4f4e-9a0b-1f2e3d4c5b6a"

RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
RSA_2 = rsa.generate_private_key(public_exponent=65537, key_size=2048)
SHORT_RSA = rsa.generate_private_key(public_exponent=65537, key_size=1024)
EC = ec.generate_private_key(ec.SECP256R1())
EC_384 = ec.generate_private_key(ec.SECP384R1())
ED = ed25519.Ed25519PrivateKey.generate()

ALGORITHMS: dict[type, Any] = {
    rsa.RSAPrivateKey: jwt.algorithms.RSAAlgorithm,
    ec.EllipticCurvePrivateKey: jwt.algorithms.ECAlgorithm,
    ed25519.Ed25519PrivateKey: jwt.algorithms.OKPAlgorithm,
}


def jwk(key: Any, kid: str, **more: Any) -> dict[str, Any]:
    """Return the public half of a key as it stands in a key set."""
    algorithm = next(made for kind, made in ALGORITHMS.items() if isinstance(key, kind))
    return {**json.loads(algorithm.to_jwk(key.public_key())), "kid": kid, **more}


def public_pem(key: Any) -> bytes:
    pem: bytes = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return pem


def token(key: Any = RSA, algorithm: str | None = "RS256", kid: str | None = "rsa-1", **claims: Any) -> str:
    """Sign a token that is good but for what is said; None leaves a claim out."""
    now = int(time.time())
    good = {"sub": SUBJECT, "iss": ISSUER, "aud": CLIENT, "iat": now, "exp": now + 300}
    made = {name: value for name, value in {**good, **claims}.items() if value is not None}
    return jwt.encode(made, key, algorithm=algorithm, headers={"kid": kid} if kid else None)


class Provider:
    """An identity provider on this machine."""

    def __init__(self) -> None:
        self.keys = [jwk(RSA, "rsa-1", use="sig", alg="RS256"), jwk(EC, "ec-1")]
        self.status = 200
        self.body: bytes | None = None
        self.asked = 0
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.asked += 1
                answer = provider.answer(self.path)
                self.send_response(provider.status)
                self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def answer(self, path: str) -> bytes:
        if self.body is not None:
            return self.body
        if path.endswith("openid-configuration"):
            return json.dumps({"issuer": ISSUER, "jwks_uri": f"{self.url}/keys"}).encode()
        return json.dumps({"keys": self.keys}).encode()


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def provider() -> Iterator[Provider]:
    made = Provider()
    thread = Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def verify(
    provider: Provider, clock: Clock, monkeypatch: pytest.MonkeyPatch, jwt_secret: None
) -> Iterator[Callable[[str], str]]:
    monkeypatch.setenv("SYNCBOARD_JWT_JWKS_URL", f"{provider.url}/keys")
    monkeypatch.setenv("SYNCBOARD_JWT_ISSUER", ISSUER)
    monkeypatch.setenv("SYNCBOARD_JWT_AUDIENCE", f"{CLIENT}, client-2")
    forget()
    keys = KeySet(f"{provider.url}/keys", ISSUER, clock=clock)
    monkeypatch.setattr(tokens, "_key_set", lambda _url, _issuer: keys)
    yield lambda made: tokens.verify(f"Bearer {made}")
    monkeypatch.undo()
    forget()


Verify = Callable[[str], str]


# --- Right ones ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        lambda: token(),
        lambda: token(EC, "ES256", "ec-1"),
        lambda: token(aud=["another", "client-2"]),
        lambda: token(token_use="id"),
        # Cognito's access tokens.
        lambda: token(aud=None, client_id=CLIENT, token_use="access"),
        # A clock that goes a little wrong.
        lambda: token(exp=int(time.time()) - 20),
        lambda: token(nbf=int(time.time()) + 20, iat=int(time.time()) + 20),
    ],
)
def test_a_token_of_the_provider_is_taken(verify: Verify, make: Callable[[], str]) -> None:
    assert verify(make()) == SUBJECT


def test_the_keys_may_be_found_by_discovery(provider: Provider, verify: Verify, clock: Clock) -> None:
    keys = KeySet(f"{provider.url}/.well-known/openid-configuration", ISSUER, clock=clock)
    assert keys.find("rsa-1") is not None
    another = KeySet(f"{provider.url}/.well-known/openid-configuration", "https://another", clock=clock)
    with pytest.raises(Unavailable):
        another.find("rsa-1")


def test_the_api_takes_it_and_knows_its_owner(api: Api, verify: Verify) -> None:
    answer = api.client.http.get("/jobs", headers={"Authorization": f"Bearer {token()}"})
    assert answer.status_code == 200


# --- Wrong ones ----------------------------------------------------------------------------------------------


def unsigned(**header: Any) -> str:
    """Return a token whose head says what is given and that nobody signed."""
    parts = (
        {"typ": "JWT", "kid": "rsa-1", **header},
        {"sub": SUBJECT, "iss": ISSUER, "aud": CLIENT, "exp": 2**33},
    )
    head, body = (jwt.utils.base64url_encode(json.dumps(part).encode()).decode() for part in parts)
    return f"{head}.{body}."


def confused() -> str:
    """Return a token signed HS256 with the public key as its secret (RFC 8725, 2.1)."""
    import hmac

    head, body, _ = unsigned(alg="HS256").split(".")
    mac = hmac.digest(public_pem(RSA), f"{head}.{body}".encode(), "sha256")
    return f"{head}.{body}.{jwt.utils.base64url_encode(mac).decode()}"


WRONG: dict[str, Callable[[], str]] = {
    "alg none": lambda: unsigned(alg="none"),
    "alg None": lambda: unsigned(alg="None"),
    "no alg": lambda: unsigned(),
    "public key as secret": confused,
    "our own secret": lambda: token("s" * 64, "HS256"),
    "RS512": lambda: token(algorithm="RS512"),
    "PS256": lambda: token(algorithm="PS256"),
    "kid of the other kind of key": lambda: token(RSA, "RS256", "ec-1"),
    "EC named as the RSA key": lambda: token(EC, "ES256", "rsa-1"),
    "another key under this kid": lambda: token(RSA_2),
    "unknown kid": lambda: token(kid="gone"),
    "no kid": lambda: token(kid=None),
    "kid of a file": lambda: token(kid="../../dev/null"),
    "expired": lambda: token(exp=int(time.time()) - 60),
    "never expires": lambda: token(exp=None),
    "not yet": lambda: token(nbf=int(time.time()) + 60),
    "from the future": lambda: token(iat=int(time.time()) + 60),
    "another issuer": lambda: token(iss="https://issuer.example.com/other"),
    "issuer with a slash": lambda: token(iss=f"{ISSUER}/"),
    "no issuer": lambda: token(iss=None),
    "another audience": lambda: token(aud="another"),
    "audience as one text": lambda: token(aud=f"{CLIENT}, client-2"),
    "no audience": lambda: token(aud=None),
    "client without the use": lambda: token(aud=None, client_id=CLIENT),
    "an id token's client": lambda: token(aud=None, client_id=CLIENT, token_use="id"),
    "another client": lambda: token(aud=None, client_id="another", token_use="access"),
    "another use": lambda: token(token_use="refresh"),
    "no subject": lambda: token(sub=None),
    "subject that is a list": lambda: token(sub=["ann"]),
    "subject with a space": lambda: token(sub="ann smith"),
    "subject in another script": lambda: token(sub="аnn"),
    "subject too long": lambda: token(sub="a" * 129),
    "oversized": lambda: token(padding="x" * 9000),
    "deep": lambda: unsigned(alg="RS256", deep=json.loads("[" * 500 + "]" * 500)),
    "two parts": lambda: token().rpartition(".")[0],
    "cut": lambda: token()[:-10],
    "changed": lambda: token().replace(".", ".e30", 1),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_only_looks_like_a_token_is_refused(verify: Verify, name: str) -> None:
    made = WRONG[name]()
    with pytest.raises(Unauthorized) as caught:
        verify(made)
    # What is said helps nobody to guess, and repeats nothing of it.
    assert made not in caught.value.message


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
def test_only_fitting_public_keys_are_taken_from_a_set() -> None:
    secret = {"kty": "oct", "k": "c2VjcmV0", "kid": "secret"}
    listed = [
        *(secret, {**secret, "alg": "RS256", "kid": "secret-2"}, "no object", {"kid": 7, "kty": "RSA"}),
        *(jwk(SHORT_RSA, "short"), jwk(EC_384, "p384"), jwk(ED, "ed"), jwk(RSA, "enc", use="enc")),
        *(
            jwk(RSA, "other-alg", alg="RS512"),
            {**jwk(RSA, "torn"), "n": "***"},
            {"kty": "RSA", "kid": "empty"},
        ),
        *(jwk(RSA, "good"), jwk(RSA_2, "good"), jwk(EC, "good-ec")),
    ]
    found = keys_of(json.dumps({"keys": listed}).encode())
    assert {kid: key.algorithm for kid, key in found.items()} == {"good": "RS256", "good-ec": "ES256"}
    # Of two with one name the first stays: nothing later in a set replaces it.
    assert found["good"].key.public_numbers() == RSA.public_key().public_numbers()


# --- Fetching ------------------------------------------------------------------------------------------------


def test_keys_are_fetched_once_and_new_ones_found(provider: Provider, verify: Verify, clock: Clock) -> None:
    for _ in range(3):
        verify(token())
    assert provider.asked == 1
    provider.keys = [jwk(RSA_2, "rsa-2")]
    rotated = token(RSA_2, kid="rsa-2")
    # At most once a minute, whatever is sent.
    for _ in range(5):
        with pytest.raises(Unauthorized):
            verify(rotated)
    assert provider.asked == 1
    clock.now += keyset.REFRESH_SECONDS
    assert verify(rotated) == SUBJECT
    assert provider.asked == 2
    # A key that the provider has withdrawn is no key any more.
    with pytest.raises(Unauthorized):
        verify(token())


def test_old_keys_are_fetched_again(provider: Provider, verify: Verify, clock: Clock) -> None:
    verify(token())
    provider.keys = [jwk(RSA_2, "rsa-1")]
    clock.now += keyset.MAX_AGE
    with pytest.raises(Unauthorized):
        verify(token())
    assert provider.asked == 2


def test_a_provider_that_is_away_is_no_fault_of_the_caller(
    api: Api, provider: Provider, verify: Verify, clock: Clock
) -> None:
    provider.status = 500
    answer = api.client.http.get("/jobs", headers={"Authorization": f"Bearer {token()}"})
    assert (answer.status_code, answer.json_body["error"]["type"]) == (503, "unavailable")
    assert answer.json_body["error"]["retryable"] is True
    assert answer.headers["Retry-After"]
    # Nobody hammers it meanwhile.
    with pytest.raises(Unavailable):
        verify(token())
    assert provider.asked == 1
    provider.status = 200
    clock.now += keyset.RETRY_SECONDS
    assert verify(token()) == SUBJECT


def test_known_keys_hold_during_an_outage_and_not_for_ever(
    provider: Provider, verify: Verify, clock: Clock
) -> None:
    verify(token())
    provider.status = 500
    clock.now += keyset.MAX_AGE + 1
    assert verify(token()) == SUBJECT
    assert provider.asked == 2
    # Whether an unknown one is new can't be told just now.
    with pytest.raises(Unavailable):
        verify(token(RSA_2, kid="rsa-2"))
    clock.now += keyset.MAX_STALE
    with pytest.raises(Unavailable):
        verify(token())


def test_a_provider_that_hangs_is_not_waited_for_again_at_once(clock: Clock) -> None:
    asked = 0

    def hanging(_: str) -> bytes:
        nonlocal asked
        asked += 1
        clock.now += 7
        raise Unavailable("It does not answer.")

    keys = KeySet("https://issuer.example.com/keys", ISSUER, fetch=hanging, clock=clock)
    for _ in range(3):
        with pytest.raises(Unavailable):
            keys.find("rsa-1")
    assert asked == 1


def test_who_has_a_known_key_does_not_wait_for_the_fetch_of_another(clock: Clock) -> None:
    fetching, done = Event(), Event()
    answers = iter([json.dumps({"keys": [jwk(RSA, "rsa-1")]}).encode()] * 2)

    def fetch(_: str) -> bytes:
        if fetching.is_set():
            assert done.wait(30)
        fetching.set()
        return next(answers)

    keys = KeySet("https://issuer.example.com/keys", ISSUER, fetch=fetch, clock=clock)
    assert keys.find("rsa-1") is not None
    clock.now += keyset.MAX_AGE
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(keys.find, "rsa-1")
        eventually(keys._lock.locked, bool)
        # The hour is over and the new keys are on their way: the old one holds.
        assert keys.find("rsa-1") is not None
        assert not slow.done()
        done.set()
        assert slow.result(30) is not None


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"<html>", b"[]", b"{}", b'{"keys": 7}', b"\xff\xfe", b"[" * 100_000),
        b'{"keys": [], "x": "' + b"x" * 300_000 + b'"}',
    ],
)
def test_an_answer_that_is_no_key_set_is_an_outage(provider: Provider, verify: Verify, body: bytes) -> None:
    provider.body = body
    with pytest.raises(Unavailable):
        verify(token())


def test_a_redirect_is_not_followed(provider: Provider, verify: Verify) -> None:
    provider.status = 302
    with pytest.raises(Unavailable):
        verify(token())
    assert provider.asked == 1


def test_a_provider_that_is_not_there_is_an_outage(clock: Clock) -> None:
    with pytest.raises(Unavailable):
        KeySet("http://127.0.0.1:1/keys", ISSUER, clock=clock).find("rsa-1")


@pytest.mark.parametrize(
    "url",
    [
        "http://issuer.example.com/keys",
        "http://127.0.0.1.example.com/",
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
        "x",
    ],
)
def test_keys_come_by_https_only(url: str, clock: Clock) -> None:
    with pytest.raises(SettingsError, match="https"):
        KeySet(url, ISSUER, clock=clock).find("rsa-1")


def test_a_discovery_document_can_not_lead_to_plain_http(clock: Clock) -> None:
    found = json.dumps({"issuer": ISSUER, "jwks_uri": "http://issuer.example.com/keys"}).encode()
    keys = KeySet("https://x/.well-known/openid-configuration", ISSUER, fetch=lambda _: found, clock=clock)
    with pytest.raises(SettingsError, match="https"):
        keys.find("rsa-1")


# --- One or the other ----------------------------------------------------------------------------------------


def test_with_a_provider_no_tokens_are_made_here(verify: Verify) -> None:
    with pytest.raises(SettingsError, match="identity provider"):
        tokens.issue("ann", seconds=60)


def test_without_a_provider_its_tokens_are_nothing(jwt_secret: None) -> None:
    assert not settings.get().jwt_jwks_url
    with pytest.raises(Unauthorized):
        tokens.verify(f"Bearer {token(iss='syncboard', aud='syncboard-api')}")


def test_the_function_of_the_api_carries_what_verifies_only_where_there_is_a_provider() -> None:
    """PyJWT loads `cryptography` (5 MB zipped) wherever it is found: it is in the layer, not in the zip."""
    assert "\ncryptography==" not in (ROOT / "requirements.txt").read_text()
    assert "\ncryptography==" in (ROOT / "requirements" / "ingest.txt").read_text()
    handler = read(FUNCTIONS)["Resources"]["APIHandler"]["Properties"]
    layers = [{"Ref": "IngestLayer"}]
    assert handler["Layers"] == {"Fn::If": ["HasIdentityProvider", layers, {"Ref": "AWS::NoValue"}]}
