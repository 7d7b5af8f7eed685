"""Supervision with real child processes."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from chalicelib import folders
from chalicelib.jobs import supervisor as module
from chalicelib.jobs import workchild
from chalicelib.jobs.job import Job, new_id
from chalicelib.jobs.run import Progress, Run
from chalicelib.jobs.states import Stage, State
from chalicelib.jobs.supervisor import Limits, Order, Supervisor
from chalicelib.tasks.registry import TASKS, Task

GENEROUS = Limits(soft=30, hard=60, beat=10)
HERE = "tests.unit.test_supervisor"


# --- Tasks, run in the child ---------------------------------------------------------------------------------


def tell_pid(run: Run) -> None:
    Path(run.job.params["file"]).write_text(str(os.getpid()))


def use_folder(run: Run) -> None:
    (run.folder / "x").write_text("x")
    Path(run.job.params["file"]).write_text(str(run.folder))


def use_folder_and_die(run: Run) -> None:
    use_folder(run)
    kill_itself(run)


def kill_itself(_run: Run) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def work_for_ever(run: Run) -> None:
    run.progress(Stage.AI_ANALYSIS, "Working")
    while True:
        time.sleep(0.01)


def hold_on_stubbornly(run: Run) -> None:
    """Swallows every interruption, as a library may."""
    run.progress(Stage.AI_ANALYSIS, "Working")
    while True:
        try:
            time.sleep(10)
        except Exception:
            continue


def publish_and_tidy_up_slowly(run: Run) -> None:
    """Ends well, then takes a while to remove its folder; a file says how far it is with that."""
    run.progress(Stage.SAVING, "Saving")
    remove = folders._remove

    def slowly(path: Path) -> None:
        Path(run.job.params["file"]).write_text("tidying")
        deadline = time.monotonic() + 0.2
        while time.monotonic() < deadline:
            time.sleep(0.01)
        remove(path)
        Path(run.job.params["file"]).write_text("tidy")

    folders._remove = slowly


def fail_unexpectedly(_run: Run) -> None:
    raise ZeroDivisionError("a bug")


@pytest.fixture
def supervisor(monkeypatch: pytest.MonkeyPatch) -> Iterator[Supervisor]:
    for function in (
        *(tell_pid, use_folder, use_folder_and_die, kill_itself),
        *(work_for_ever, hold_on_stubbornly, fail_unexpectedly, publish_and_tidy_up_slowly),
    ):
        name = function.__name__
        monkeypatch.setitem(TASKS, name, Task(name=name, queue="uploads", target=f"{HERE}:{name}"))
    monkeypatch.setattr(module, "GRACE_SECONDS", 0.2)
    monkeypatch.setattr(module, "PROGRESS_SECONDS", 0.02)
    made = Supervisor()
    yield made
    made.stop()


def job(task: str, **params: str) -> Job:
    return Job(
        job_id=new_id(),
        owner="ann",
        task=task,
        queue="uploads",
        state=State.PROCESSING,
        stage=Stage.STARTING,
        attempt=1,
        run="r",
        params=dict(params),
        created_at=0,
        updated_at=0,
    )


def go_on(_progress: Progress | None) -> Order:
    return Order.GO_ON


def test_the_child_is_warm_and_shared_by_jobs(supervisor: Supervisor, tmp_path: Path) -> None:
    pids = set()
    for _ in range(3):
        assert supervisor.run(job("tell_pid", file=str(tmp_path / "pid")), GENEROUS, go_on).error is None
        pids.add((tmp_path / "pid").read_text())
    assert len(pids) == 1
    assert pids != {str(os.getpid())}


def test_a_run_has_a_folder_of_its_own_that_is_gone_afterwards(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    supervisor.run(job("use_folder", file=str(tmp_path / "name")), GENEROUS, go_on)
    assert not Path((tmp_path / "name").read_text()).exists()


def test_the_next_child_removes_the_folder_of_a_killed_run(
    supervisor: Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    supervisor.run(job("use_folder_and_die", file=str(tmp_path / "name")), GENEROUS, go_on)
    assert Path((tmp_path / "name").read_text()).exists()
    supervisor.run(job("tell_pid", file=str(tmp_path / "pid")), GENEROUS, go_on)
    assert list(temporary.iterdir()) == []


def test_a_full_disk_is_not_the_jobs_fault(
    supervisor: Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "no such folder"))
    outcome = supervisor.run(job("use_folder", file=str(tmp_path / "name")), GENEROUS, go_on)
    assert outcome.error is not None
    assert (outcome.error["type"], outcome.error["retryable"]) == ("internal_error", True)


def test_a_child_that_dies_is_reported_and_replaced(supervisor: Supervisor, tmp_path: Path) -> None:
    outcome = supervisor.run(job("kill_itself"), GENEROUS, go_on)
    assert outcome.error is not None
    assert (outcome.error["type"], outcome.error["retryable"]) == ("worker_lost", True)
    assert supervisor.run(job("tell_pid", file=str(tmp_path / "pid")), GENEROUS, go_on).error is None


def test_invariant_8_the_soft_limit_stops_the_work(supervisor: Supervisor) -> None:
    outcome = supervisor.run(job("work_for_ever"), Limits(soft=0.1, hard=30, beat=10), go_on)
    assert outcome.error is not None
    assert outcome.error["type"] == "soft_time_limit"


def test_invariant_8_the_hard_limit_kills_what_does_not_stop(supervisor: Supervisor) -> None:
    began = time.monotonic()
    outcome = supervisor.run(job("hold_on_stubbornly"), Limits(soft=60, hard=0.2, beat=10), go_on)
    assert outcome.error is not None
    assert outcome.error["type"] == "hard_time_limit"
    assert time.monotonic() - began < 10


def test_work_that_ignores_the_soft_limit_is_killed_after_its_grace(supervisor: Supervisor) -> None:
    outcome = supervisor.run(job("hold_on_stubbornly"), Limits(soft=0.1, hard=60, beat=10), go_on)
    assert outcome.error is not None
    assert outcome.error["type"] == "soft_time_limit"


def test_invariant_9_a_cancel_reaches_running_work(supervisor: Supervisor) -> None:
    outcome = supervisor.run(job("work_for_ever"), GENEROUS, lambda _progress: Order.CANCEL)
    assert outcome.error is not None
    assert outcome.error["type"] == "cancelled"


def test_a_run_that_lost_its_job_is_stopped(supervisor: Supervisor) -> None:
    outcome = supervisor.run(job("work_for_ever"), GENEROUS, lambda _progress: Order.ABANDON)
    assert outcome.error is not None
    assert outcome.error["type"] == "stale_run"


@pytest.mark.parametrize("order", [Order.CANCEL, Order.ABANDON])
def test_an_order_to_stop_that_comes_when_the_work_is_done_stops_nothing(
    supervisor: Supervisor,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    order: Order,
) -> None:
    monkeypatch.setattr(module, "GRACE_SECONDS", 20)
    done = tmp_path / "done"

    def beat(_progress: Progress | None) -> Order:
        deadline = time.monotonic() + 10
        while not done.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        return order

    outcome = supervisor.run(job("publish_and_tidy_up_slowly", file=str(done)), GENEROUS, beat)
    assert outcome.error is None
    assert done.read_text() == "tidy"
    assert "Traceback" not in capfd.readouterr().err


def test_an_order_to_stop_that_comes_before_the_work_begins_is_obeyed_when_it_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(
        TASKS, "never", Task(name="never", queue="uploads", target=f"{HERE}:fail_unexpectedly")
    )
    workchild._on_cancel(signal.SIGUSR2, None)
    run = Run(job("never"), table=None, objects=None, folder=Path(), report=lambda _: None)  # type: ignore[arg-type]
    outcome = workchild.outcome_of(run)
    assert outcome.error is not None
    assert outcome.error["type"] == "cancelled"


def test_the_heartbeat_goes_on_without_progress(supervisor: Supervisor) -> None:
    beats: list[Progress | None] = []

    def beat(progress: Progress | None) -> Order:
        beats.append(progress)
        return Order.CANCEL if len(beats) >= 4 else Order.GO_ON

    supervisor.run(job("work_for_ever"), Limits(soft=30, hard=60, beat=0.05), beat)
    assert [progress.percent for progress in beats if progress] == [50]
    assert len(beats) >= 4


def test_an_unexpected_error_is_retryable_and_tells_no_details(supervisor: Supervisor) -> None:
    outcome = supervisor.run(job("fail_unexpectedly"), GENEROUS, go_on)
    assert outcome.error is not None
    assert (outcome.error["type"], outcome.error["retryable"]) == ("internal_error", True)
    assert "bug" not in outcome.error["message"]


def test_a_heartbeat_that_raises_leaves_no_child_behind(supervisor: Supervisor) -> None:
    def beat(_progress: Progress | None) -> Order:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        supervisor.run(job("work_for_ever"), GENEROUS, beat)
    assert supervisor._process is None
