"""The worker's parts: options, scaling, polling, slots, reports."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import psutil
import pytest

from chalicelib import functions, services, settings, workers
from chalicelib.aws.queues import MAX_BATCH, Depth, Received
from chalicelib.errors import Unavailable
from chalicelib.jobs import messages
from chalicelib.jobs.job import now_ms
from chalicelib.workers import ALIVE_SECONDS, Worker
from local.worker import poller, pool, slots
from local.worker.chores import Reporter, resident_bytes
from local.worker.environment import Answer, Call
from local.worker.options import Options, parse
from local.worker.poller import Poller, Receiver, split
from local.worker.pool import Environment, EnvironmentLost
from local.worker.scaler import GROW_SECONDS, SHRINK_SECONDS, Scaler
from local.worker.slots import Slots
from tests.memory import MemoryQueues, MemoryTable
from tests.stack import eventually

# --- Options -------------------------------------------------------------------------------------------------


def test_without_options_two_processes_work_on_what_every_installation_has() -> None:
    assert parse([]) == Options(queues=("uploads", "low_priority"), least=2, most=2)


def test_options_are_read() -> None:
    options = parse(
        ["--queues", "low_priority, uploads", "--autoscale", "8,1", "--max-jobs-per-process", "5"]
    )
    assert options.queues == ("low_priority", "uploads")
    assert (options.most, options.least, options.max_jobs_per_process) == (8, 1, 5)
    assert (parse(["-c", "3"]).least, parse(["-c", "3"]).most) == (3, 3)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--concurrency", "0"], "at least 1"),
        (["--concurrency", "-2"], "at least 1"),
        (["--concurrency", "two"], "at least 1"),
        (["--concurrency", "1000"], "more than the 256"),
        (["--max-jobs-per-process", "0"], "at least 1"),
        (["--queues", "uplods"], "no queue 'uplods'; there are: uploads, "),
        (["--queues", "intake"], "no queue 'intake'"),
        (["--queues", ","], "no queue"),
        (["--autoscale", "1,4"], "the maximum comes first"),
        (["--autoscale", "4"], "MAX,MIN"),
        (["--autoscale", "4,0"], "at least 1"),
        (["--autoscale", "4,1", "--concurrency", "2"], "not allowed with"),
        (["--drain-seconds", "-1"], "number of seconds"),
        (["--drain-seconds", "nan"], "number of seconds"),
        (["--color"], "unrecognized"),
    ],
)
def test_a_bad_option_is_named_and_nothing_starts(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(arguments)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


# --- Scaling -------------------------------------------------------------------------------------------------


def _decide(scaler: Scaler, now: float, *, processes: int, busy: int, waiting: bool = True) -> int:
    return scaler.decide(now, processes=processes, busy=busy, waiting=lambda: waiting)


def test_it_grows_when_messages_have_waited_for_room_for_a_while() -> None:
    scaler = Scaler(least=1, most=3)
    assert _decide(scaler, 0, processes=1, busy=1) == 0
    assert _decide(scaler, GROW_SECONDS - 0.1, processes=1, busy=1) == 0
    assert _decide(scaler, GROW_SECONDS, processes=1, busy=1) == 1
    # The next one after another while, and none beyond the maximum.
    assert _decide(scaler, GROW_SECONDS + 0.1, processes=2, busy=2) == 0
    assert _decide(scaler, 2 * GROW_SECONDS, processes=2, busy=2) == 1
    assert _decide(scaler, 9 * GROW_SECONDS, processes=3, busy=3) == 0


def test_it_does_not_grow_for_work_that_nobody_waits_for() -> None:
    scaler = Scaler(least=1, most=3)
    _decide(scaler, 0, processes=1, busy=1)
    assert _decide(scaler, 60, processes=1, busy=1, waiting=False) == 0


def test_a_moment_of_room_starts_the_wait_anew() -> None:
    scaler = Scaler(least=1, most=3)
    _decide(scaler, 0, processes=1, busy=1)
    _decide(scaler, 0.5, processes=1, busy=0)
    assert _decide(scaler, GROW_SECONDS, processes=1, busy=1) == 0


def test_it_shrinks_to_the_minimum_when_processes_have_had_nothing_to_do() -> None:
    scaler = Scaler(least=1, most=3)
    assert _decide(scaler, 0, processes=3, busy=1) == 0
    assert _decide(scaler, SHRINK_SECONDS, processes=3, busy=1) == -1
    assert _decide(scaler, SHRINK_SECONDS + 1, processes=2, busy=1) == 0
    assert _decide(scaler, 2 * SHRINK_SECONDS, processes=2, busy=0) == -1
    assert _decide(scaler, 9 * SHRINK_SECONDS, processes=1, busy=0) == 0


# --- Polling -------------------------------------------------------------------------------------------------


class Polls(MemoryQueues):
    """Queues that note how they are asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[int, int]] = []
        self.before: Callable[[], None] = lambda: None

    def receive(self, queue: str, *, limit: int = 1, wait: int = 0, visibility: int = 60) -> list[Received]:
        self.asked.append((limit, wait))
        self.before()
        return super().receive(queue, limit=limit, wait=wait, visibility=visibility)

    def call(self, number: int, *, light: bool) -> None:
        """Send a message for a job."""
        body = messages.encode(messages.CallToWork(job_id=f"j{number}", dispatch=1, light=light))
        self.send("uploads", body)


@pytest.fixture
def queues(monkeypatch: pytest.MonkeyPatch) -> Polls:
    polls = Polls()
    monkeypatch.setattr(services, "queues", lambda: polls)
    return polls


@pytest.fixture
def emulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    settings.get.cache_clear()
    yield
    monkeypatch.undo()
    settings.get.cache_clear()


def test_an_emulator_is_polled_long_while_idle_and_short_while_messages_come(
    queues: Polls, emulator: None
) -> None:
    receiver = Receiver("uploads", threading.Event())
    receiver.receive(1)
    queues.call(1, light=False)
    receiver.receive(1)
    receiver.receive(1)
    assert [wait for _, wait in queues.asked] == [2, 2, 0]


def test_real_queues_are_always_polled_long_because_a_message_ends_the_wait(queues: Polls) -> None:
    receiver = Receiver("uploads", threading.Event())
    queues.call(1, light=False)
    for _ in range(3):
        receiver.receive(1)
    assert {wait for _, wait in queues.asked} == {20}


def test_a_poll_that_keeps_others_waiting_is_short(queues: Polls, emulator: None) -> None:
    receiver = Receiver("uploads", threading.Event())
    receiver.receive(1, patient=False)
    assert [wait for _, wait in queues.asked] == [0]
    assert receiver.pause > 0
    queues.call(1, light=False)
    receiver.receive(1, patient=False)
    assert receiver.pause == 0


def test_what_arrives_while_the_worker_stops_is_given_back(queues: Polls) -> None:
    stopping = threading.Event()
    queues.call(1, light=False)
    queues.before = stopping.set
    assert Receiver("uploads", stopping).receive(1) == ()
    assert queues.depth("uploads") == Depth(visible=1, in_flight=0, delayed=0)


def test_a_queue_that_is_away_is_asked_again(queues: Polls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poller, "_RETRY_SECONDS", 0.001)

    def away() -> None:
        queues.before = lambda: None
        raise Unavailable("The queue does not answer.")

    queues.before = away
    queues.call(1, light=False)
    assert len(Receiver("uploads", threading.Event()).receive(1)) == 1


def test_light_messages_are_told_from_heavy_and_unreadable_ones(queues: Polls) -> None:
    queues.call(1, light=True)
    queues.call(2, light=False)
    queues.send("uploads", "{not ours")
    light, heavy = split(queues.receive("uploads", limit=10))
    assert [messages.decode(message.body).job_id for message in light] == ["j1"]
    assert len(heavy) == 2


# --- Slots ---------------------------------------------------------------------------------------------------


class Played:
    """An environment that plays its calls as the test says."""

    made: list[Played]
    # What a call answers; may block or raise.
    play: Callable[[Call], Answer]

    def __init__(self, *, max_jobs: int, queues: tuple[str, ...] = ()) -> None:
        self.started = False
        self.interrupted = threading.Event()
        type(self).made.append(self)

    def start(self) -> None:
        self.started = True

    def call(self, call: Call) -> Answer:
        return type(self).play(call)

    def interrupt(self) -> None:
        self.interrupted.set()

    def kill(self) -> None:
        self.started = False


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch, queues: Polls) -> type[Played]:
    kind = type("PlayedHere", (Played,), {"made": [], "play": staticmethod(lambda _call: Answer(result={}))})
    monkeypatch.setattr(slots, "Environment", kind)
    monkeypatch.setattr(slots, "_LOOK_SECONDS", 0.005)
    return kind


def _run(queues: Polls, slots_: Slots, number: int) -> None:
    """Poll `number` messages through the slots, then stop."""
    stopping = threading.Event()
    thread = threading.Thread(target=Poller("uploads", urgency=0, slots=slots_, stopping=stopping).run)
    thread.start()
    eventually(lambda: slots_.jobs_done, lambda done: done >= number, seconds=10)
    stopping.set()
    slots_.close()
    thread.join(10)
    assert slots_.join(10)


def test_messages_that_are_done_with_are_deleted_and_others_stay(queues: Polls, played: type[Played]) -> None:
    def keep_one(call: Call) -> Answer:
        kept = [record["messageId"] for record in call.event["Records"] if record["messageId"] == "2"]
        return Answer(result={"batchItemFailures": [{"itemIdentifier": entry} for entry in kept]})

    played.play = staticmethod(keep_one)
    for number in range(3):
        queues.call(number, light=False)
    running = Slots(("uploads",), max_jobs=10)
    running.grow()
    _run(queues, running, 2)
    assert list(queues.messages["uploads"]) == ["2"]


def test_light_jobs_come_ten_at_a_time_and_heavy_ones_singly(queues: Polls, played: type[Played]) -> None:
    sizes: list[int] = []

    def note(call: Call) -> Answer:
        sizes.append(len(call.event["Records"]))
        return Answer(result={})

    played.play = staticmethod(note)
    for number in range(21):
        queues.call(number, light=True)
    queues.call(21, light=False)
    running = Slots(("uploads",), max_jobs=100)
    running.grow()
    _run(queues, running, 22)
    # The first delivery shows that light ones are there.
    assert sorted(sizes) == [1, 1, 10, 10]
    assert queues.asked[0][0] == 1
    assert MAX_BATCH in {limit for limit, _ in queues.asked}


def test_a_lost_environment_keeps_its_messages_for_the_next_run(queues: Polls, played: type[Played]) -> None:
    lost: list[Call] = []

    def die(call: Call) -> Answer:
        lost.append(call)
        raise EnvironmentLost("died")

    played.play = staticmethod(die)
    queues.call(1, light=False)
    running = Slots(("uploads",), max_jobs=10)
    running.grow()
    stopping = threading.Event()
    thread = threading.Thread(target=Poller("uploads", urgency=0, slots=running, stopping=stopping).run)
    thread.start()
    eventually(lambda: len(lost), lambda number: number == 1, seconds=10)
    stopping.set()
    running.close()
    thread.join(10)
    assert running.join(10)
    assert queues.depth("uploads").total == 1
    assert running.jobs_done == 0


def test_what_waits_in_line_when_the_worker_stops_is_given_back(queues: Polls, played: type[Played]) -> None:
    queues.call(1, light=False)
    received = queues.receive("uploads", limit=1)
    running = Slots(("uploads",), max_jobs=10)
    running.put(0, received, light=False)
    running.close()
    running._slots.append(slot := slots._Slot(played(max_jobs=1)))  # type: ignore[arg-type]
    running._serve(slot)
    assert queues.depth("uploads").visible == 1


def test_what_comes_when_the_slots_have_closed_is_given_back(queues: Polls, played: type[Played]) -> None:
    queues.call(1, light=False)
    running = Slots(("uploads",), max_jobs=10)
    running.close()
    running.put(0, queues.receive("uploads", limit=1), light=False)
    assert queues.depth("uploads").visible == 1


def test_there_is_room_for_one_more_light_parcel_but_for_no_heavy_one(
    queues: Polls, played: type[Played]
) -> None:
    release, entered = threading.Event(), threading.Semaphore(0)

    def block(_call: Call) -> Answer:
        entered.release()
        release.wait(10)
        return Answer(result={})

    played.play = staticmethod(block)
    running = Slots(("uploads",), max_jobs=10)
    running.grow()
    assert running.wait_until_ready(10)
    for light, room in ((True, True), (False, False)):
        queues.call(1, light=light)
        running.put(0, queues.receive("uploads", limit=1), light=light)
        assert entered.acquire(timeout=10)
        with running._room:
            assert running._has_room() is room
        release.set()
        eventually(lambda: running.busy, lambda busy: busy == 0, seconds=10)
        release.clear()
    running.close()
    assert running.join(10)


def test_a_parcel_that_waited_too_long_is_given_back_and_the_pollers_are_told_of_the_room(
    queues: Polls, played: type[Played], monkeypatch: pytest.MonkeyPatch
) -> None:
    queues.call(1, light=False)
    running = Slots(("uploads",), max_jobs=10)
    monkeypatch.setattr("local.worker.slots.time.monotonic", lambda: -1000.0)
    running.put(0, queues.receive("uploads", limit=1), light=False)
    monkeypatch.undo()
    monkeypatch.setattr(services, "queues", lambda: queues)
    monkeypatch.setattr(slots, "Environment", played)
    running.grow()
    with running.room(0) as room:
        assert room is not None
        assert queues.depth("uploads").visible == 1
    running.close()
    assert running.join(10)


def _serve_echo(pipe: Any, _functions: Any) -> None:
    pipe.send_bytes(b"ready")
    while True:
        try:
            pipe.recv_bytes()
        except EOFError:
            return
        pipe.send_bytes(msgspec.msgpack.encode(Answer(result=os.getpid())))


@pytest.fixture
def forked(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A way to start processes that has nothing to import."""
    context = multiprocessing.get_context("fork")
    monkeypatch.setattr(pool, "_context", lambda: context)
    return context


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_process_that_died_while_idle_is_replaced_before_it_is_given_work(
    monkeypatch: pytest.MonkeyPatch, forked: Any
) -> None:
    monkeypatch.setattr(pool, "serve", _serve_echo)
    environment = Environment(max_jobs=10)
    call = Call(function="uploads", event={}, seconds=10)
    first = environment.call(call).result
    os.kill(first, signal.SIGKILL)
    eventually(
        lambda: psutil.pid_exists(first) and psutil.Process(first).status(), lambda s: s in (False, "zombie")
    )
    second = environment.call(call).result
    assert second != first
    environment.kill()


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_process_that_can_not_be_started_is_a_lost_environment(
    monkeypatch: pytest.MonkeyPatch, forked: Any
) -> None:
    class Broken:
        def __init__(self, **_: Any) -> None:
            """Nothing."""

        def start(self) -> None:
            raise EOFError("the fork server is gone")

    monkeypatch.setattr(forked, "Process", Broken, raising=False)
    environment = Environment(max_jobs=10)
    with pytest.raises(EnvironmentLost):
        environment.start()
    assert not environment.started
    environment.kill()


def test_a_poller_keeps_its_room_while_it_receives_and_the_most_urgent_comes_first(
    queues: Polls, played: type[Played]
) -> None:
    running = Slots(("uploads", "analysis", "low_priority"), max_jobs=10)
    running.grow()
    assert running.wait_until_ready(10)
    came: list[int] = []

    def poll(urgency: int) -> None:
        with running.room(urgency) as room:
            assert room is not None
            came.append(urgency)

    with running.room(0) as first:
        assert first is not None
        assert not first.patient
        threads = [threading.Thread(target=poll, args=(urgency,)) for urgency in (2, 1)]
        for thread in threads:
            thread.start()
        eventually(lambda: sorted(running._asking), lambda asking: asking == [1, 2], seconds=10)
        assert came == []
    for thread in threads:
        thread.join(10)
    assert came == [1, 2]
    running.close()
    with running.room(0) as none:
        assert none is None
    assert running.join(10)


def test_slots_shrink_to_what_is_wanted(queues: Polls, played: type[Played]) -> None:
    running = Slots(("uploads",), max_jobs=10)
    for _ in range(3):
        running.grow()
    assert running.wait_until_ready(10)
    running.shrink()
    eventually(lambda: running.processes, lambda number: number == 2, seconds=10)
    assert [environment.started for environment in played.made].count(True) == 2
    running.close()
    assert running.join(10)


# --- Reports -------------------------------------------------------------------------------------------------


def _worker(**changes: Any) -> Worker:
    given: dict[str, Any] = {
        "host": "here",
        "pid": 7,
        "queues": ("uploads",),
        "busy": 1,
        "idle": 1,
        "jobs_done": 3,
        "memory_bytes": 1000,
        "started_at": now_ms() - 5000,
        "heartbeat": now_ms(),
    }
    return Worker(**(given | changes))


def test_a_worker_is_listed_as_it_last_reported_and_expires() -> None:
    table = MemoryTable()
    workers.report(table, _worker())
    second = _worker(jobs_done=9)
    workers.report(table, second)
    assert workers.current(table) == [second]
    (item,) = table.items.values()
    assert item["sk"] == "WORKER#here:7"
    assert item["expires_at"] > now_ms() // 1000


def test_a_worker_that_fell_silent_is_not_listed() -> None:
    table = MemoryTable()
    workers.report(table, _worker(heartbeat=now_ms() - round(ALIVE_SECONDS * 1000) - 100))
    workers.report(table, _worker(pid=8))
    assert [worker.pid for worker in workers.current(table)] == [8]


def test_a_worker_that_stopped_is_forgotten() -> None:
    table = MemoryTable()
    workers.report(table, _worker())
    workers.remove(table, _worker(jobs_done=100))
    assert workers.current(table) == []


def test_the_report_says_what_the_slots_do(
    queues: Polls, played: type[Played], monkeypatch: pytest.MonkeyPatch
) -> None:
    table = MemoryTable()
    monkeypatch.setattr(services, "table", lambda: table)
    running = Slots(("uploads",), max_jobs=10)
    running.grow()
    assert running.wait_until_ready(10)
    reporter = Reporter(("uploads",), running, threading.Event(), memory=lambda: 42)
    reporter.report()
    (worker,) = workers.current(table)
    assert (worker.busy, worker.idle, worker.jobs_done, worker.memory_bytes) == (0, 1, 0, 42)
    reporter.remove()
    assert workers.current(table) == []
    running.close()
    assert running.join(10)


def test_a_report_that_can_not_be_written_stops_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    table = MemoryTable()

    def away(_write: object) -> None:
        raise Unavailable("The database does not answer.")

    table.before_write = away
    monkeypatch.setattr(services, "table", lambda: table)
    reporter = Reporter(("uploads",), Slots(("uploads",), max_jobs=1), threading.Event(), memory=lambda: 0)
    reporter.report()
    reporter.remove()
    assert table.items == {}


def test_the_memory_of_all_processes_is_counted() -> None:
    assert resident_bytes() > 10_000_000


# --- The handlers' side --------------------------------------------------------------------------------------


def test_one_consumer_and_its_warm_child_serve_every_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    table = MemoryTable()
    monkeypatch.setattr(services, "table", lambda: table)
    functions._consumer.cache_clear()
    functions._offer.cache_clear()
    try:
        functions._offer(1, "uploads-ocr")
        assert functions._consumer(1) is functions._consumer(1)
        writes = len(table.items)
        functions._offer(1, "low_priority")
        functions._offer(1, "uploads-ocr")
        assert len(table.items) == writes == 1
    finally:
        functions._consumer.cache_clear()
        functions._offer.cache_clear()
