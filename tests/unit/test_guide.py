"""The guide's table of settings, and what of it is not run. Its links: test_docs.py."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from chalicelib import settings
from infra import settings_table
from tests import snippets
from tests.stack import ROOT

GUIDE = ROOT / "docs" / "guide.md"
# What can't be run where the tests run, and why. A new one has to be written here, too.
NOT_RUN = {
    "make setup": "the test stands on an installation made by this",
    "make run": "serves until Ctrl-C; the test's own stack is started by the same command",
    "make deploy": "needs AWS",
    ".venv/bin/python -m": "needs AWS; tests/e2e/test_worker.py runs it against an emulator",
    "sudo useradd": "needs a machine with systemd and AWS",
    "docker compose": "needs Docker and AWS",
    "aws logs": "needs AWS",
    "make localstack": "needs Docker",
}


def test_the_table_of_settings_is_the_settings() -> None:
    guide = GUIDE.read_text()
    assert settings_table.renewed(guide) == guide, "docs/guide.md is old: run python -m infra.settings_table"


def test_the_table_names_what_is_read_and_nothing_else() -> None:
    named = set(re.findall(r"`((?:SYNCBOARD|AWS)_[A-Z_]+)`", settings_table.table()))
    fields = {f"SYNCBOARD_{field.upper()}" for field in settings.Settings.__struct_fields__}
    queues = {settings.queue_variable(queue) for queue in settings.QUEUES}
    assert named == fields - {"SYNCBOARD_QUEUES", "SYNCBOARD_ENDPOINT_URL"} | queues | {"AWS_ENDPOINT_URL"}


def test_every_comment_says_something_of_its_own() -> None:
    rows = [
        line.rpartition("|")[0].rpartition("|")[2].strip() for line in settings_table.table().splitlines()
    ]
    assert all(len(row) > 10 for row in rows[2:])


def test_a_guide_without_a_place_for_the_table_is_refused() -> None:
    with pytest.raises(ValueError, match="no <!-- settings"):
        settings_table.renewed("# Guide\n")


def test_what_is_not_run_is_listed_with_its_reason() -> None:
    left_out = {
        " ".join(snippet.code.split()[:2]): snippet.not_run
        for snippet in snippets.read(GUIDE)
        if snippet.not_run
    }
    assert left_out == NOT_RUN


class TestReadingAPage:
    """The reader of snippets itself."""

    PAGE = """# Page

<!-- not run: no network -->
```sh
curl https://example.com
```

```sh
echo one two
```
```text
one … two
```

```ini
[unit]
```

<!-- fails -->
```sh
false
```

```js
let x;
```
"""

    def read(self, folder: Path) -> list[snippets.Snippet]:
        page = folder / "page.md"
        page.write_text(self.PAGE)
        return snippets.read(page)

    def test_blocks_and_what_is_said_of_them(self, tmp_path: Path) -> None:
        curl, echo, false, let = self.read(tmp_path)
        assert (curl.not_run, curl.line, curl.output) == ("no network", 5, None)
        assert (echo.output, echo.fails) == ("one … two\n", False)
        assert (false.fails, false.output) == (True, None)
        assert let.language == "js"

    def test_what_is_run(self, tmp_path: Path) -> None:
        run = snippets.runnable(self.read(tmp_path), snippets.SHELL)
        assert [snippet.code for snippet in run] == ["echo one two\n", "false\n"]

    @pytest.mark.parametrize(
        ("said", "shown", "good"),
        [
            ("a\n  b c", "a b … c", True),
            ("a c b", "a … b … c", False),
            ("anything", "…", True),
            ("ab", "a b", False),
        ],
    )
    def test_output_is_compared_piece_by_piece(self, said: str, shown: str, good: bool) -> None:
        assert snippets.matches(said, shown) is good

    def test_blanks_in_json_mean_nothing(self) -> None:
        assert snippets.matches('{"id":"7","x":1}', '{"id": "…", … "x": 1}', json=True)
        assert not snippets.matches('{"id":"7","x":2}', '{"id": "…", … "x": 1}', json=True)
