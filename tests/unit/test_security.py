"""What an attacker tries at the API, beside other people's ids (test_isolation) and tokens (test_tokens)."""

from __future__ import annotations

import base64
import json
import re
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from chalice.test import HTTPResponse

from chalicelib import services, settings
from chalicelib.api.headers import SECURITY_HEADERS, STRICT_TRANSPORT
from tests import contracts
from tests.caches import forget
from tests.stack import ROOT
from tests.unit.conftest import Api

PAGE = ROOT / "chalicelib" / "page"
ROUTES = [(method, path) for method, path, _ in contracts.routes()]


def address(path: str) -> str:
    return path.replace("{name}", "app.js").replace("{", "").replace("}", "")


def refused(answer: HTTPResponse) -> str:
    assert answer.status_code == 400, answer.body[:300]
    assert answer.json_body["error"]["type"] == "invalid_request"
    message: str = answer.json_body["error"]["message"]
    return message


# --- Headers -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("with_token", [True, False])
@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_every_answer_says_how_little_may_be_done_with_it(
    api: Api, method: str, path: str, with_token: bool
) -> None:
    headers = api.headers if with_token else {}
    answer = api.client.http.request(method, address(path), headers=headers, body=b"{}")
    for name, value in SECURITY_HEADERS.items():
        if name != "Content-Security-Policy":
            assert answer.headers[name] == value
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "*" not in policy
    assert answer.headers["Cache-Control"] in ("no-store", "no-cache")


@pytest.mark.parametrize("name", sorted(path.name for path in PAGE.glob("*.html")))
def test_no_page_has_script_or_style_in_it(name: str) -> None:
    html = (PAGE / name).read_text(encoding="utf-8")
    assert re.findall(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=|javascript:", html) == []


def test_no_script_makes_markup_of_data() -> None:
    pattern = re.compile(r"\.innerHTML|\.outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function")
    assert {
        path.name for path in PAGE.glob("*.js") if pattern.search(path.read_text(encoding="utf-8"))
    } == set()


def test_browsers_are_told_to_stay_with_tls_where_there_is_tls(api: Api) -> None:
    assert "Strict-Transport-Security" not in api.get("/jobs").headers
    answer = api.get("/jobs", **{"X-Forwarded-Proto": "https"})
    assert answer.headers["Strict-Transport-Security"] == STRICT_TRANSPORT


def test_other_origins_get_nothing_unless_one_is_named(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {"Origin": "https://evil.example"}
    assert not [name for name in api.get("/jobs", **asked).headers if name.startswith("Access-Control")]
    monkeypatch.setenv("SYNCBOARD_CORS_ORIGIN", "https://app.example.com")
    settings.get.cache_clear()
    answer = api.get("/jobs", **asked)
    monkeypatch.undo()
    settings.get.cache_clear()
    assert answer.headers["Access-Control-Allow-Origin"] == "https://app.example.com"
    assert "Location" in answer.headers["Access-Control-Expose-Headers"]
    # Tokens are in a header, not in a cookie.
    assert "Access-Control-Allow-Credentials" not in answer.headers


@pytest.mark.parametrize(
    ("headers", "origin"),
    [
        ({"Host": "evil.example/x"}, "http://localhost"),
        ({"Host": "a b"}, "http://localhost"),
        ({"Host": 'x"><script>'}, "http://localhost"),
        ({"Host": "user@evil.example"}, "http://localhost"),
        ({"Host": "example.com", "X-Forwarded-Proto": "javascript"}, "http://example.com"),
        ({"Host": "[::1]:8000", "X-Forwarded-Proto": "https"}, "https://[::1]:8000"),
    ],
)
def test_addresses_are_not_made_of_whatever_a_header_says(
    api: Api, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str], origin: str
) -> None:
    monkeypatch.setenv("SYNCBOARD_UPLOAD_PATH", "/_s3")
    settings.get.cache_clear()
    answer = api.post("/uploads", {"filename": "a.txt", "size": 5}, **headers)
    monkeypatch.undo()
    settings.get.cache_clear()
    assert answer.json_body["upload"]["url"].startswith(f"{origin}/_s3/")
    # A path: wherever the caller believes to be, it stays there.
    assert re.fullmatch(r"/jobs/[0-9a-z]{26}/status", answer.headers["Location"])


@pytest.mark.parametrize("key", ["a\r\nSet-Cookie: x=1", "a\nb", "a b", "é", "", "x" * 201, "\x7f"])
def test_a_key_with_more_than_printable_characters_is_refused(api: Api, key: str) -> None:
    answer = api.post("/jobs", {"task": "noop"}, **{"Idempotency-Key": key})
    assert "Idempotency-Key" in refused(answer)


# --- Bodies --------------------------------------------------------------------------------------------------

BIG = 4_000_000
BOMBS: dict[str, tuple[str, bytes]] = {
    "lists": ("/upload_file", b"[" * BIG),
    "lists in a field": ("/upload_file", b'{"filename": ' + b"[" * BIG),
    "lists in an unknown field": ("/upload_file", b'{"x": ' + b"[" * BIG),
    "lists in parameters": ("/jobs", b'{"task": "noop", "params": {"a": ' + b"[" * BIG),
    "closed lists in parameters": ("/jobs", b'{"task": "noop", "params": {"a": %s}}' % (b"[" * BIG + b"]" * BIG)),
    "objects in parameters": ("/jobs", b'{"task": "noop", "params": ' + b'{"a":' * (BIG // 5)),
    "lists in a batch": ("/upload_batch", b'{"files": ' + b"[" * BIG),
    "a number without end": ("/uploads", b'{"filename": "a", "size": ' + b"9" * BIG + b"}"),
    "a number without end in parameters": ("/jobs", b'{"task": "noop", "params": {"a": -' + b"9" * 5000 + b"}}"),
    "a number beyond all": ("/jobs", b'{"task": "noop", "params": {"a": 1e999}}'),
    "no number": ("/jobs", b'{"task": "noop", "params": {"a": NaN}}'),
    "half a character": ("/uploads", b'{"filename": "a\\ud800.txt", "size": 5}'),
    "another encoding": ("/jobs", json.dumps({"task": "noop"}).encode("utf-16")),
    "more than one value": ("/jobs", b'{"task": "noop"} {"task": "noop"}'),
    "a key of no use": ("/jobs", b'{"task": "noop", "__proto__": {}}'),
    "too many parameters": ("/jobs", b'{"task": "noop", "params": {"a": [%s]}}' % (b"0, " * 9000 + b"0")),
}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS)
def test_a_body_made_to_break_its_reader_is_refused_at_once(api: Api, name: str) -> None:
    path, body = BOMBS[name]
    before = time.process_time()
    refused(api.post(path, body))
    # Two orders of magnitude more than it takes: what grows with the square of its size would not end in time.
    assert time.process_time() - before < 10
    assert api.get("/jobs").json_body["jobs"] == []


def test_of_a_key_that_comes_twice_one_value_counts_for_all(api: Api) -> None:
    """There is one reader: what is checked is what is done. The last one counts."""
    refused(api.post("/jobs", b'{"task": "noop", "task": "tidy_library"}'))
    answer = api.post("/jobs", b'{"task": "tidy_library", "task": "noop"}')
    assert (answer.status_code, answer.json_body["task"]) == (202, "noop")


@pytest.mark.parametrize(
    "name",
    [
        *(
            "..",
            "%2e%2e",
            "..%2fsettings.py",
            "..%5csettings.py",
            "%2e%2e%2fsettings.py",
            ".%00.",
            "app.js%00.css",
        ),
        *(
            "%252e%252e%252fsettings.py",
            "....//",
            "/etc/passwd",
            "%2fetc%2fpasswd",
            "C:%5cwindows",
            "APP.JS ",
        ),
        *("index.html%0d%0aX:%20y", "a" * 5000, "__init__.py", "%c0%ae%c0%ae"),
    ],
)
def test_only_the_page_s_own_files_are_served(api: Api, name: str) -> None:
    answer = api.client.http.get(f"/page/{quote(name, safe='%/')}")
    # Some have more parts than the route: then nobody reads a file at all.
    assert answer.status_code in (403, 404)
    assert b"import" not in answer.body


# --- Uploads -------------------------------------------------------------------------------------------------


def test_an_upload_s_key_is_its_job_s_alone_and_can_not_be_guessed(api: Api, stranger: Api) -> None:
    body = {"filename": "a.txt", "size": 5}
    uploads = [who.post("/uploads", body).json_body for who in (api, api, stranger)]
    randoms = set()
    for made in uploads:
        _, job_id, random = made["upload"]["fields"]["key"].split("/")
        assert job_id == made["job_id"]
        randoms.add(random[10:])
        # What is signed is this very key, not what it begins with.
        policy = json.loads(base64.b64decode(made["upload"]["fields"]["policy"]))
        assert {"key": made["upload"]["fields"]["key"]} in policy["conditions"]
        assert not [
            rule for rule in policy["conditions"] if isinstance(rule, list) and rule[0] == "starts-with"
        ]
    # 16 characters of chance are 80 bits.
    assert len(randoms) == 3
    assert {len(random) for random in randoms} == {16}


def test_nothing_tells_the_key_of_an_upload_afterwards(api: Api) -> None:
    made = api.post("/uploads", {"filename": "a.txt", "size": 5}).json_body
    random = made["upload"]["fields"]["key"].rpartition("/")[2]
    for path in (f"/jobs/{made['job_id']}", f"/jobs/{made['job_id']}/status", "/jobs"):
        assert random not in api.get(path).body.decode()


# --- Secrets -------------------------------------------------------------------------------------------------


def test_a_password_is_told_to_nobody_and_logged_nowhere(
    api: Api, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    body: dict[str, Any] = {"filename": "a.pdf", "content": "JVBERi0xLjc=", "password": "opensesame"}
    job_id = api.post("/upload_file", body).json_body["job_id"]
    for path in (f"/jobs/{job_id}", "/jobs", f"/jobs/{job_id}/status"):
        assert "opensesame" not in api.get(path).body.decode()
    refused(api.post("/upload_file", {**body, "colour": "opensesame"}))
    refused(api.post("/upload_file", {**body, "password": ["opensesame"]}))
    printed = capfd.readouterr()
    assert "opensesame" not in printed.out + printed.err + caplog.text


def test_an_error_of_a_service_behind_is_not_passed_on(
    api: Api, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A secret that can't be read is our fault: 500, and the answer does not say where it is."""
    monkeypatch.setenv("SYNCBOARD_JWT_SECRET", f"file:{tmp_path}/nothing")
    forget()
    answer = api.client.http.get("/jobs", headers=api.headers)
    monkeypatch.undo()
    forget()
    assert answer.status_code == 500
    assert set(answer.json_body) == {"error"}
    assert str(tmp_path) not in answer.body.decode()
    assert services.table() is not None


# --- The page about it ---------------------------------------------------------------------------------------


def test_what_the_documentation_says_of_tests_is_there() -> None:
    text = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    folder = Path(__file__).parent
    named = re.findall(r"`(test_\w+\.py)(?:::(test_\w+))?", text)
    assert len(named) > 25
    for file, test in named:
        assert f"def {test}" in (folder / file).read_text(encoding="utf-8"), f"{file}::{test}"
