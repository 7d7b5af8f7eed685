"""Webhooks: signed, made once, delivered at least once."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from ulid import ULID

from chalicelib.aws.expressions import Put
from chalicelib.errors import (
    BlockedAddress,
    RetryAfter,
    SyncBoardError,
    Unavailable,
    Unreachable,
    WebhookRefused,
)
from chalicelib.jobs.job import Job, new_id, now_ms
from chalicelib.jobs.run import Run
from chalicelib.jobs.states import State
from chalicelib.jobs.store import Refused
from chalicelib.jobs.webhooks import (
    DELIVERY,
    EVENT,
    SIGNATURE,
    Webhook,
    Webhooks,
    delivery_id_of,
    delivery_job,
    sign,
    verify,
)
from chalicelib.tasks.deliver_webhook import deliver_webhook
from tests.memory import MemoryTable
from tests.unit.engine import Engine
from tests.webserver import Web, allowing, dripping, in_turn, redirect, reply, serving

DOC = Path(__file__).parents[2] / "docs" / "webhooks.md"
BODY = b'{"job_id": "j"}'


# --- Signatures ---------------------------------------------------------------------------------------------


def test_a_signature_is_an_hmac_of_time_delivery_and_body() -> None:
    expected = hmac.new(b"secret", b'1700000000.d1.{"job_id": "j"}', hashlib.sha256).hexdigest()
    assert sign("secret", 1_700_000_000, "d1", BODY) == f"t=1700000000,v1={expected}"


def test_a_signature_verifies_within_the_tolerance_and_not_beyond() -> None:
    header = sign("secret", 1000, "d1", BODY)
    for now in (700, 1000, 1300):
        assert verify("secret", header, "d1", BODY, now=now)
    for now in (699, 1301):
        assert not verify("secret", header, "d1", BODY, now=now)
    assert verify("secret", header, "d1", BODY, now=2000, tolerance=1000)


def test_a_signature_holds_for_nothing_but_what_was_signed() -> None:
    header = sign("secret", 1000, "d1", BODY)
    assert not verify("other", header, "d1", BODY, now=1000)
    assert not verify("secret", header, "d2", BODY, now=1000)
    assert not verify("secret", header, "d1", BODY + b" ", now=1000)
    assert not verify("secret", header.replace("t=1000", "t=1001"), "d1", BODY, now=1000)


def test_one_fitting_signature_of_several_is_enough() -> None:
    header = sign("new", 1000, "d1", BODY) + ",v1=" + sign("old", 1000, "d1", BODY).partition("v1=")[2]
    assert verify("old", header, "d1", BODY, now=1000)
    assert verify("new", header + ",v9=x", "d1", BODY, now=1000)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "t=",
        "v1=abc",
        "t=1000",
        "t=1000,v1=",
        "t=-1,v1=x",
        "t=١,v1=x",
        "t=1e3,v1=x",
        "t=" + "9" * 5000,
        "t=1000,v1=é",
    ],
)
def test_a_header_that_is_none_does_not_verify(header: str) -> None:
    assert not verify("secret", header, "d1", BODY, now=1000)


# --- Delivery jobs ------------------------------------------------------------------------------------------


@pytest.fixture
def engine() -> Engine:
    return Engine()


def ended(engine: Engine, state: State = State.SUCCESS, **changes: Any) -> Job:
    fields = {"finished_at": now_ms(), "result": {"doc_id": "d"}, "attempt": 1, **changes}
    return engine.job(state=state, **fields)


def test_a_delivery_s_id_is_a_ulid_with_its_job_s_time(engine: Engine) -> None:
    job = ended(engine)
    delivery = delivery_job(job, "https://example.com/hook")
    assert re.fullmatch(r"[0-9a-hjkmnp-tv-z]{26}", delivery.job_id)
    assert ULID.from_str(delivery.job_id.upper()).timestamp == ULID.from_str(job.job_id.upper()).timestamp
    assert delivery.job_id != job.job_id


def test_the_same_end_and_address_give_the_same_id_and_any_other_another(engine: Engine) -> None:
    job = ended(engine)
    assert delivery_id_of(job, "https://a.example/") == delivery_id_of(job, "https://a.example/")
    again = msgspec.structs.replace(job, finished_at=job.finished_at + 1)
    ids = {
        delivery_id_of(job, "https://a.example/"),
        delivery_id_of(job, "https://b.example/"),
        delivery_id_of(ended(engine), "https://a.example/"),
        delivery_id_of(again, "https://a.example/"),
    }
    assert len(ids) == 4


def test_a_delivery_is_created_once(engine: Engine) -> None:
    job = ended(engine)
    engine.store.create(delivery_job(job, "https://example.com/hook"))
    with pytest.raises(Refused):
        engine.store.create(delivery_job(job, "https://example.com/hook"))


def test_the_end_of_a_job_that_names_an_address_sends_one_delivery(engine: Engine) -> None:
    job = engine.job(webhook="https://example.com/hook")
    engine.send(job)
    engine.deliver()
    delivery = engine.store.find(delivery_id_of(engine.row(job), "https://example.com/hook"))
    assert delivery is not None
    assert delivery.params["event"] == "job.succeeded"
    assert engine.queues.depth("low_priority").total == 1
    engine.consumer.ending.after(engine.row(job))
    assert engine.queues.depth("low_priority").total == 1


@pytest.mark.parametrize(
    ("state", "event"),
    [(State.SUCCESS, "job.succeeded"), (State.FAILURE, "job.failed"), (State.REVOKED, "job.revoked")],
)
def test_a_delivery_waits_in_the_low_queue_of_the_same_owner(
    engine: Engine, state: State, event: str
) -> None:
    job = ended(engine, state)
    delivery = delivery_job(job, "https://example.com/hook")
    assert (delivery.owner, delivery.task, delivery.queue) == ("ann", "deliver_webhook", "low_priority")
    assert (delivery.state, delivery.stage, delivery.webhook) == (State.PENDING, "queued", "")
    assert (delivery.params["url"], delivery.params["job_id"], delivery.params["event"]) == (
        "https://example.com/hook",
        job.job_id,
        event,
    )
    assert delivery.params["body"]["state"] == state
    assert delivery.check_shard.startswith("CHECK#")


# --- An owner's webhook -------------------------------------------------------------------------------------


def test_the_secret_is_made_at_the_first_put_and_kept() -> None:
    webhooks = Webhooks(MemoryTable(), "ann")
    assert webhooks.get() is None
    first = webhooks.put("https://example.com/a")
    assert len(first.secret) == 43
    assert webhooks.put("https://example.com/b") == Webhook(url="https://example.com/b", secret=first.secret)
    assert webhooks.get() == Webhook(url="https://example.com/b", secret=first.secret)
    assert webhooks.secret() == first.secret


def test_a_secret_can_come_before_any_address() -> None:
    webhooks = Webhooks(MemoryTable(), "ann")
    secret = webhooks.secret()
    assert webhooks.secret() == secret
    assert webhooks.put("https://example.com/a").secret == secret


def test_owners_have_different_secrets_and_a_deleted_one_is_not_used_again() -> None:
    table = MemoryTable()
    ann, bob = Webhooks(table, "ann"), Webhooks(table, "bob")
    before = ann.put("https://example.com/a").secret
    assert bob.secret() != before
    ann.delete()
    ann.delete()
    assert ann.get() is None
    assert ann.put("https://example.com/a").secret != before


def test_of_two_who_make_the_secret_at_once_both_get_the_same() -> None:
    table = MemoryTable()
    webhooks = Webhooks(table, "ann")
    pk, sk = webhooks.key

    def quicker(_write: object) -> None:
        table.before_write = lambda _write: None
        table.write(Put(item={"pk": pk, "sk": sk, "secret": "theirs"}))

    table.before_write = quicker
    assert webhooks.secret() == "theirs"


def test_a_put_that_a_delete_crosses_can_be_tried_again() -> None:
    table = MemoryTable()
    webhooks = Webhooks(table, "ann")
    webhooks.put("https://example.com/a")

    def crossing(write: Any) -> None:
        if "secret" not in write.set:
            table.items.clear()

    table.before_write = crossing
    with pytest.raises(Unavailable):
        webhooks.put("https://example.com/b")


# --- Posting ------------------------------------------------------------------------------------------------


@pytest.fixture
def web() -> Iterator[Web]:
    with serving() as server, allowing(f"127.0.0.1:{server.port}"):
        yield server


class Sender:
    """Runs the task on one delivery, as often as a test wants."""

    def __init__(self, engine: Engine, folder: Path, url: str) -> None:
        self.engine = engine
        self.folder = folder
        self.job = ended(engine, result={"doc_id": "d", "title": "grün"})
        delivery = delivery_job(self.job, url)
        self.delivery = msgspec.structs.replace(
            delivery, state=State.PROCESSING, attempt=1, run=new_id(), started_at=now_ms()
        )
        engine.store.create(self.delivery)

    def run(self) -> None:
        deliver_webhook(
            Run(
                self.delivery,
                table=self.engine.table,
                objects=self.engine.objects,  # type: ignore[arg-type]
                folder=self.folder,
                report=lambda _progress: None,
            )
        )


def test_a_delivery_is_signed_and_its_status_becomes_the_result(
    web: Web, engine: Engine, tmp_path: Path
) -> None:
    web.answers["/hook"] = reply(204)
    secret = Webhooks(engine.table, "ann").put(web.url("/hook")).secret
    sender = Sender(engine, tmp_path, web.url("/hook"))
    sender.run()
    row = engine.row(sender.delivery)
    assert row.state is State.SUCCESS
    assert row.result == {"status": 204, "job_id": sender.job.job_id, "event": "job.succeeded"}
    (asked,) = web.asked
    assert asked.headers[DELIVERY] == sender.delivery.job_id
    assert asked.headers[EVENT] == "job.succeeded"
    assert asked.headers["Content-Type"] == "application/json"
    assert verify(
        secret, asked.headers[SIGNATURE], sender.delivery.job_id, asked.body, now=time.time(), tolerance=60
    )
    body = json.loads(asked.body)
    assert (body["job_id"], body["state"], body["result"]["title"]) == (sender.job.job_id, "SUCCESS", "grün")


def test_a_second_try_posts_the_same_body_under_the_same_id_with_a_new_time(
    web: Web, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    web.answers["/"] = in_turn(reply(500), reply(200))
    sender = Sender(engine, tmp_path, web.url())
    monkeypatch.setattr("chalicelib.tasks.deliver_webhook.time.time", lambda: 1000.0)
    with pytest.raises(Unreachable, match="HTTP 500"):
        sender.run()
    monkeypatch.setattr("chalicelib.tasks.deliver_webhook.time.time", lambda: 1060.0)
    sender.run()
    first, second = web.asked
    assert (first.body, first.headers[DELIVERY]) == (second.body, second.headers[DELIVERY])
    assert first.headers[SIGNATURE].startswith("t=1000,")
    assert second.headers[SIGNATURE].startswith("t=1060,")
    assert engine.row(sender.delivery).state is State.SUCCESS


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (reply(400, b"no such board"), WebhookRefused),
        (reply(401), WebhookRefused),
        (reply(404), WebhookRefused),
        (reply(410), WebhookRefused),
        (redirect("https://example.com/"), WebhookRefused),
        (reply(408), Unreachable),
        (reply(425), Unreachable),
        (reply(429), Unreachable),
        (reply(500), Unreachable),
        (reply(503), Unreachable),
        (reply(429, Retry_After="90"), RetryAfter),
        (reply(503, Retry_After="90"), RetryAfter),
    ],
)
def test_an_answer_says_whether_a_retry_can_help(
    web: Web, engine: Engine, tmp_path: Path, answer: Any, error: type[SyncBoardError]
) -> None:
    web.answers["/"] = answer
    sender = Sender(engine, tmp_path, web.url())
    with pytest.raises(error) as caught:
        sender.run()
    assert type(caught.value) is error
    assert engine.row(sender.delivery).state is State.PROCESSING


def test_a_refusal_shows_what_the_receiver_said(web: Web, engine: Engine, tmp_path: Path) -> None:
    web.answers["/"] = reply(400, b"no such board" + b"!" * 1000)
    with pytest.raises(WebhookRefused) as caught:
        Sender(engine, tmp_path, web.url()).run()
    assert caught.value.type == "webhook_refused"
    assert caught.value.details["status"] == 400
    assert caught.value.details["answer"] == ("no such board" + "!" * 1000)[:200]


def test_an_endless_answer_does_not_hold_up_a_delivery(web: Web, engine: Engine, tmp_path: Path) -> None:
    web.answers["/"] = dripping
    sender = Sender(engine, tmp_path, web.url())
    sender.run()
    assert engine.row(sender.delivery).state is State.SUCCESS


def test_a_webhook_into_the_own_network_is_blocked(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(BlockedAddress):
        Sender(engine, tmp_path, "http://169.254.169.254/").run()


# --- The documentation's own code ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def documented() -> Any:
    """The receiver's function from docs/webhooks.md."""
    (snippet,) = re.findall(r"```python\n(.*?)```", DOC.read_text(encoding="utf-8"), re.S)
    assert len(snippet.strip().splitlines()) <= 15
    names: dict[str, Any] = {}
    exec(snippet, names)
    return names["genuine"]


def test_the_documented_receiver_takes_what_is_genuine(documented: Any) -> None:
    now = int(time.time())
    headers = {SIGNATURE: sign("secret", now, "d1", BODY), DELIVERY: "d1"}
    assert documented("secret", headers, BODY) is True


def test_the_documented_receiver_refuses_what_is_not(documented: Any) -> None:
    now = int(time.time())
    good = {SIGNATURE: sign("secret", now, "d1", BODY), DELIVERY: "d1"}
    old = {SIGNATURE: sign("secret", now - 301, "d1", BODY), DELIVERY: "d1"}
    assert documented("secret", old, BODY) is False
    assert documented("secret", {**good, DELIVERY: "d2"}, BODY) is False
    assert documented("secret", good, BODY + b"x") is False
    assert documented("other", good, BODY) is False
    for header in ("", "t=x,v1=y", "nonsense", f"t={now}"):
        assert documented("secret", {**good, SIGNATURE: header}, BODY) is False


def test_the_documentation_names_headers_and_events_as_they_are() -> None:
    text = DOC.read_text(encoding="utf-8")
    for name in (SIGNATURE, DELIVERY, EVENT, "job.succeeded", "job.failed", "job.revoked", "webhook_refused"):
        assert name in text
