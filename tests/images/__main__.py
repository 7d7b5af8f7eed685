"""`make images-test`: run every built image as Lambda would. Ends with 1 where anything could not be run."""

from __future__ import annotations

import sys

import pytest

from infra import images


class _Skips:
    """A pytest plugin that counts what was left out."""

    def __init__(self) -> None:
        self.count = 0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.count += bool(report.skipped)


def main() -> int:
    """Look for an engine and the images, run the tests; return the exit code."""
    try:
        engine = images.find_engine()
    except images.NoEngine as error:
        print(f"IMAGES WERE NOT TESTED: {error}", file=sys.stderr)
        return 1
    if missing := [images.tag(name) for name in images.names() if not images.exists(name, engine)]:
        print(f"IMAGES WERE NOT TESTED: not built: {', '.join(missing)} (make images)", file=sys.stderr)
        return 1
    skips = _Skips()
    code = int(pytest.main(["-q", "tests/images", *sys.argv[1:]], plugins=[skips]))
    if skips.count:
        print(f"{skips.count} TESTS OF IMAGES DID NOT RUN", file=sys.stderr)
    return code or bool(skips.count)


if __name__ == "__main__":
    sys.exit(main())
