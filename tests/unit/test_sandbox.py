"""The sandbox against functions that crash, hang, eat, pry and leave things."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

from chalicelib.errors import BrokenFile, Cancelled, ParserCrashed, RetryAfter, TooLarge, Unavailable
from chalicelib.folders import PARSER_FOLDER
from chalicelib.ingest.confinement import MB, Limits
from chalicelib.ingest.document import ProgressCallback, ignore_progress
from chalicelib.ingest.sandbox import run_sandboxed

LIMITS = Limits(memory_bytes=64 * MB, seconds=20)
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="Linux only")


@pytest.fixture(autouse=True)
def nothing_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Fail a test that leaves a child or a temporary directory."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    before = {child.pid for child in psutil.Process().children()}
    open_before = psutil.Process().num_fds()
    yield folder
    assert {child.pid for child in psutil.Process().children()} <= before
    assert list(folder.iterdir()) == []
    assert psutil.Process().num_fds() <= open_before


def run(function: Callable[..., object], *args: Any, seconds: float = 20, **options: Any) -> Any:
    limits = options.pop("limits", None) or Limits(memory_bytes=64 * MB, seconds=seconds)
    return run_sandboxed(function, *args, result_type=object, limits=limits, **options)


def crash(function: Callable[..., object], *args: Any, **options: Any) -> ParserCrashed:
    """Run `function`, which must end as ParserCrashed."""
    with pytest.raises(ParserCrashed) as caught:
        run(function, *args, **options)
    return caught.value


# --- What goes in and what comes out ------------------------------------------------------------------------


class Point(msgspec.Struct, frozen=True):
    x: int
    y: str


def make_point(x: int, y: str, *, on_progress: ProgressCallback) -> Point:
    return Point(x + 1, y * 2)


def test_arguments_go_in_and_a_typed_result_comes_out() -> None:
    assert run_sandboxed(make_point, 1, "é", result_type=Point, limits=LIMITS) == Point(2, "éé")


def test_a_result_of_another_type_is_refused() -> None:
    with pytest.raises(ParserCrashed, match="no result"):
        run_sandboxed(make_point, 1, "x", result_type=int, limits=LIMITS)


def long_text(*, on_progress: ProgressCallback) -> str:
    return "grüße" * 1_000_000


def test_a_result_of_megabytes_comes_whole() -> None:
    assert run(long_text) == "grüße" * 1_000_000


def test_a_result_beyond_its_limit_is_too_large() -> None:
    with pytest.raises(TooLarge, match="more than 2 MB"):
        run(long_text, limits=Limits(memory_bytes=64 * MB, seconds=20, result_bytes=2 * MB))


def fail_broken(*, on_progress: ProgressCallback) -> None:
    raise BrokenFile("page 3 is gone", page=3)


def fail_later(*, on_progress: ProgressCallback) -> None:
    raise RetryAfter("come back", 12.5, service="x")


def fail_unavailable(*, on_progress: ProgressCallback) -> None:
    raise Unavailable("down")


def fail_other(*, on_progress: ProgressCallback) -> None:
    raise ValueError("odd \ud800 value")


def test_errors_of_our_tree_keep_type_message_and_details() -> None:
    with pytest.raises(BrokenFile, match="page 3 is gone") as broken:
        run(fail_broken)
    assert broken.value.details == {"page": 3}
    with pytest.raises(RetryAfter) as later:
        run(fail_later)
    assert (later.value.seconds, later.value.details) == (12.5, {"service": "x"})
    with pytest.raises(Unavailable, match="down"):
        run(fail_unavailable)


def test_any_other_error_is_named() -> None:
    error = crash(fail_other)
    assert error.message == "The parser failed: ValueError: odd ? value"
    assert error.details == {"cause": "error"}


def count_up(*, on_progress: ProgressCallback) -> int:
    for number in range(1, 2001):
        on_progress(number, 2000, f"step {number}")
    return 7


def test_progress_arrives_in_order_and_ends_with_the_last() -> None:
    seen: list[tuple[int, int, str]] = []
    assert run(count_up, on_progress=lambda *report: seen.append(report)) == 7
    assert seen[-1] == (2000, 2000, "step 2000")
    assert seen == sorted(set(seen))
    assert len(seen) < 100


def report_and_hang(*, on_progress: ProgressCallback) -> None:
    on_progress(1, 3, "")
    hang(on_progress=on_progress)


def test_what_a_progress_call_raises_kills_the_child_and_goes_to_the_caller() -> None:
    def cancel(done: int, total: int, text: str) -> None:
        raise Cancelled("enough")

    started = time.monotonic()
    with pytest.raises(Cancelled, match="enough"):
        run(report_and_hang, on_progress=cancel)
    assert time.monotonic() - started < 10


# --- Ends that are no result --------------------------------------------------------------------------------


def segfault(*, on_progress: ProgressCallback) -> None:
    ctypes.string_at(0)


def abort(*, on_progress: ProgressCallback) -> None:
    os.abort()


def leave(status: int, *, on_progress: ProgressCallback) -> None:
    os._exit(status)


def hang(*, on_progress: ProgressCallback) -> None:
    while True:
        signal.pause()


def spin(*, on_progress: ProgressCallback) -> None:
    while True:
        pass


def recurse(*, on_progress: ProgressCallback) -> object:
    return recurse(on_progress=on_progress)


def test_a_crash_names_its_signal() -> None:
    error = crash(segfault)
    assert "signal 11 (SIGSEGV)" in error.message
    assert (error.details["cause"], error.details["signal"]) == ("signal", 11)
    assert "SIGABRT" in crash(abort).message


@pytest.mark.parametrize("status", [0, 3])
def test_an_exit_without_a_result_is_a_crash(status: int) -> None:
    error = crash(leave, status)
    assert error.details == {"cause": "no_result"}


@pytest.mark.parametrize("function", [hang, spin])
def test_a_function_that_never_ends_is_killed_at_its_deadline(function: Callable[..., object]) -> None:
    started = time.monotonic()
    error = crash(function, seconds=0.2)
    assert 0.2 <= time.monotonic() - started < 5
    assert error.details == {"cause": "time_limit", "limit_seconds": 0.2}
    assert "time limit of 0.2 seconds" in error.message


def spend_cpu_time(*, on_progress: ProgressCallback) -> None:
    os.kill(os.getpid(), signal.SIGXCPU)


def test_the_cpu_limit_counts_as_the_time_limit() -> None:
    assert crash(spend_cpu_time).details["cause"] == "time_limit"


def test_endless_recursion_is_named() -> None:
    assert "RecursionError" in crash(recurse).message


def allocate(megabytes: int, *, on_progress: ProgressCallback) -> int:
    return len(bytearray(megabytes * MB))


@linux_only
def test_memory_beyond_the_limit_is_refused_and_below_it_given() -> None:
    assert run(allocate, 40) == 40 * MB
    # Far beyond: what this process has on its heap and does not use comes on top of the limit.
    error = crash(allocate, 1000)
    assert error.details == {"cause": "memory_limit", "limit_mb": 64}
    assert "memory limit of 64 MB" in error.message


@linux_only
def test_the_memory_limit_counts_from_what_the_caller_maps_already() -> None:
    ballast = bytearray(200 * MB)
    assert run(allocate, 40) == 40 * MB
    assert len(ballast) == 200 * MB


def write_much(*, on_progress: ProgressCallback) -> None:
    with Path("big").open("wb") as file:
        for _ in range(20):
            file.write(bytes(MB))


def test_a_file_beyond_its_limit_is_refused() -> None:
    error = crash(write_much, limits=Limits(memory_bytes=64 * MB, seconds=20, file_bytes=5 * MB))
    assert "File too large" in error.message


# --- A child that lies --------------------------------------------------------------------------------------


def forge(data: bytes, *, on_progress: ProgressCallback) -> None:
    Path("../outcome").write_bytes(data)
    os._exit(0)


def link_away(target: str, *, on_progress: ProgressCallback) -> None:
    Path("../outcome").unlink()
    Path("../outcome").symlink_to(target)
    os._exit(0)


def half_a_report(*, on_progress: Any) -> None:
    os.write(on_progress._descriptor, b"[1,2,")
    hang(on_progress=on_progress)


def nonsense_report(*, on_progress: Any) -> None:
    os.write(on_progress._descriptor, b'{"no": "report"}\n')
    hang(on_progress=on_progress)


def endless_report(*, on_progress: Any) -> None:
    while True:
        os.write(on_progress._descriptor, b"x" * 4096)


def close_everything(*, on_progress: Any) -> None:
    os.closerange(3, 64)
    hang(on_progress=on_progress)


@pytest.mark.parametrize("data", [b"{", b"null", b'{"result": 1, "failure": 2}', b"\x80\x04N."])
def test_a_forged_outcome_is_no_result(data: bytes) -> None:
    assert crash(forge, data).details["cause"] == "no_result"


def test_an_outcome_that_points_elsewhere_is_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text('{"result": "stolen"}', encoding="utf-8")
    assert crash(link_away, str(secret)).details["cause"] == "no_result"


def test_half_a_report_does_not_hold_up_the_deadline() -> None:
    assert crash(half_a_report, seconds=0.2).details["cause"] == "time_limit"


@pytest.mark.parametrize("function", [nonsense_report, endless_report])
def test_reports_that_are_none_end_the_child(function: Callable[..., object]) -> None:
    assert crash(function).details["cause"] == "no_result"


def test_a_child_that_closes_its_pipes_and_stays_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chalicelib.ingest.sandbox._EXIT_SECONDS", 0.1)
    assert crash(close_everything, seconds=0.5).details["cause"] in ("signal", "time_limit")


# --- Confinement --------------------------------------------------------------------------------------------


def connect(*, on_progress: ProgressCallback) -> None:
    socket.create_connection(("127.0.0.1", 9), timeout=1)


def resolve(*, on_progress: ProgressCallback) -> None:
    socket.getaddrinfo("localhost", 80)


def start_program(*, on_progress: ProgressCallback) -> None:
    subprocess.run([sys.executable, "-c", ""], check=True)


def shell(*, on_progress: ProgressCallback) -> None:
    os.system("true")


def replace_itself(*, on_progress: ProgressCallback) -> None:
    os.execv(sys.executable, [sys.executable, "-c", ""])


def fork(*, on_progress: ProgressCallback) -> None:
    os.fork()


@pytest.mark.parametrize("function", [connect, resolve, start_program, shell, replace_itself, fork])
def test_network_and_programs_are_refused(function: Callable[..., object]) -> None:
    assert "PermissionError: a parser may not use" in crash(function).message


def environment(*, on_progress: ProgressCallback) -> dict[str, str]:
    return dict(os.environ)


def test_the_environment_holds_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "SYNCBOARD_JWT_SECRET", "SOME_API_KEY"):
        monkeypatch.setenv(name, "secret")
    found = run(environment, env={"OMP_THREAD_LIMIT": "1"})
    assert "secret" not in found.values()
    assert set(found) <= {"PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "HOME", "TMPDIR", "OMP_THREAD_LIMIT"}
    assert found["OMP_THREAD_LIMIT"] == "1"
    assert os.environ["SOME_API_KEY"] == "secret"


def litter(*, on_progress: ProgressCallback) -> list[str]:
    Path("left").mkdir()
    Path("left/file").write_text("x", encoding="utf-8")
    Path("left").chmod(0)
    descriptor, name = tempfile.mkstemp()
    os.close(descriptor)
    return [str(Path.cwd()), name]


def test_files_that_a_parser_leaves_are_removed(nothing_left: Path) -> None:
    folder, name = map(Path, run(litter))
    assert name.parent == folder
    assert folder.parent.name.startswith(PARSER_FOLDER)
    assert folder.parent.parent == nothing_left.resolve()


def is_socket(descriptor: int, *, on_progress: ProgressCallback) -> bool:
    return stat.S_ISSOCK(os.fstat(descriptor).st_mode)


@linux_only
def test_inherited_sockets_are_cut_in_the_child_and_live_on_in_the_caller() -> None:
    near, far = socket.socketpair()
    with near, far:
        assert run(is_socket, near.fileno()) is False
        near.sendall(b"alive")
        assert far.recv(5) == b"alive"


def warn(*, on_progress: ProgressCallback) -> str:
    warnings.warn("from a library", DeprecationWarning, stacklevel=1)
    print("to standard output")
    print("to standard error", file=sys.stderr)
    return "fine"


def test_a_parser_s_warnings_and_output_go_nowhere(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(warn) == "fine"
    assert capfd.readouterr() == ("", "")


def test_it_runs_beside_threads_under_warnings_as_errors() -> None:
    done = threading.Event()
    other = threading.Thread(target=done.wait)
    other.start()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert run(warn) == "fine"
    finally:
        done.set()
        other.join()


def test_it_runs_in_a_thread() -> None:
    results: list[object] = []
    thread = threading.Thread(target=lambda: results.append(run(warn)))
    thread.start()
    thread.join()
    assert results == ["fine"]


def signal_handlers(*, on_progress: ProgressCallback) -> bool:
    return signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL


def test_signal_handlers_of_the_caller_are_dropped() -> None:
    before = signal.signal(signal.SIGUSR1, lambda *_: None)
    try:
        assert run(signal_handlers) is True
    finally:
        signal.signal(signal.SIGUSR1, before)


def tell_pid_and_hang(path: str, *, on_progress: ProgressCallback) -> None:
    Path(path).write_text(f"{os.getpid()}\n", encoding="ascii")
    hang(on_progress=on_progress)


@linux_only
def test_a_parser_dies_with_a_caller_that_is_killed(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    code = (
        "import sys\n"
        "from chalicelib.ingest.sandbox import run_sandboxed\n"
        "from tests.unit.test_sandbox import LIMITS, tell_pid_and_hang\n"
        "run_sandboxed(tell_pid_and_hang, sys.argv[1], result_type=int, limits=LIMITS)\n"
    )
    caller = subprocess.Popen(
        [sys.executable, "-c", code, str(pid_file)],
        cwd=Path(__file__).resolve().parents[2],
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    try:
        wait_for(lambda: pid_file.exists() and pid_file.read_text(encoding="ascii").endswith("\n"))
        parser = psutil.Process(int(pid_file.read_text(encoding="ascii")))
        assert parser.ppid() == caller.pid
    finally:
        caller.kill()
        caller.wait()
    with contextlib.suppress(psutil.NoSuchProcess):
        wait_for(lambda: not parser.is_running() or parser.status() == psutil.STATUS_ZOMBIE)


def wait_for(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.01)


def test_nothing_is_reported_when_nobody_watches() -> None:
    assert run(count_up, on_progress=ignore_progress) == 7
