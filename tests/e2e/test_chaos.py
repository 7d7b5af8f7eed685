"""A short storm in every test run: `make chaos` is the long one."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from tests.chaos.__main__ import run
from tests.chaos.storms import STORMS, repeat_messages
from tests.stack import GIVEN_ENDPOINT

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(GIVEN_ENDPOINT is not None, reason="these tests start and kill their own emulator"),
]

SEED = 1
_BY_NAME = {storm.name: storm for storm in STORMS}
SHORT = (
    # Unreadable messages take ten deliveries to become dead letters: only the long run waits for that.
    msgspec.structs.replace(_BY_NAME["doubles"], rage=repeat_messages, dead_letters=()),
    msgspec.structs.replace(_BY_NAME["deaths"], poisons=1),
    _BY_NAME["errors"],
    _BY_NAME["deletions"],
)


def test_invariants_4_6_and_11_hold_in_a_short_storm(tmp_path: Path) -> None:
    with (tmp_path / "report").open("w") as report:
        results = run(
            SHORT, jobs=64, seed=SEED, data=tmp_path / "data", console=Console(file=report, width=200)
        )
    violations = {result.storm.name: result.violations for result in results if result.violations}
    assert violations == {}
    assert sum(result.findings.jobs for result in results) == 64
