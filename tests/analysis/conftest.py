"""Lends these tests the analysis environment's libraries; skips the tier, loudly, where that is not installed."""

from __future__ import annotations

import importlib.util
import sys

import pytest

from local.environments import ROOT

NO_LIBRARIES = "NO REGROUPING WAS TESTED: the analysis environment is not installed (make setup)"

# Behind this environment's own: the same Python made both, and what both have is the same version or near.
sys.path += [str(path) for path in (ROOT / "analysis" / "lib").glob("python3.*/site-packages")]
_MISSING = importlib.util.find_spec("sklearn") is None
# Test modules that import the libraries themselves can't even be collected.
collect_ignore_glob = ["test_*.py"] if _MISSING else []


def pytest_sessionstart() -> None:
    if _MISSING:
        sys.stderr.write(f"{NO_LIBRARIES}\n")


@pytest.fixture(autouse=True)
def _fresh_memory() -> None:
    from chalicelib.library import directory, regroup_jobs

    directory._cache.clear()
    regroup_jobs._asked.clear()
