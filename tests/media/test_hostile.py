"""Hostile recordings through the real reader."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hostileset.cases import Case
from tests.hostileset.recordings import RECORDINGS
from tests.unit.test_hostile import judge, named, nothing_left

__all__ = ["nothing_left"]


@pytest.mark.parametrize("case", named(RECORDINGS))
def test_a_hostile_recording_ends_as_it_should(case: Case, tmp_path: Path) -> None:
    judge(case, tmp_path)
