"""The page in a browser: how a test opens it, and what it does there again and again."""

from __future__ import annotations

import os
import shutil
import uuid
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, expect

from tests.stack import RunningStack

SAMPLES = Path(__file__).resolve().parents[2] / "samples"

# Milliseconds that a job may take on a busy machine, and that the page may take to react.
JOB_MS = 90_000
PAGE_MS = 20_000

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM_ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

# Runs before the page's own scripts: keeps each violation where the test finds it.
WATCH_POLICY = """
window.__violations = [];
document.addEventListener("securitypolicyviolation", (event) => {
  window.__violations.push(`${event.effectiveDirective}: ${event.blockedURI}`);
});
"""

# Keeps every value that a progress bar on the page ever had, by the title of its card.
WATCH_BARS = """
window.__bars = {};
const keep = () => document.querySelectorAll(".card progress").forEach((bar) => {
  const title = bar.closest(".card").querySelector(".card-title").textContent;
  const values = (window.__bars[title] ??= []);
  if (!bar.closest("[hidden]") && values.at(-1) !== bar.value) values.push(bar.value);
});
document.addEventListener("DOMContentLoaded", () => new MutationObserver(keep).observe(document.body, {
  subtree: true, childList: true, attributes: true, characterData: true,
}));
"""


def find_chromium() -> str:
    """Return the path of a Chromium; skip without one, but fail in CI, where nothing may be left out."""
    for name in CHROMIUM_NAMES:
        if path := shutil.which(name):
            return path
    reason = f"NO BROWSER: none of {', '.join(CHROMIUM_NAMES)} is on PATH, so the page was NOT tested"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


class new_page:
    """Open the page in a browser context of its own; afterwards nothing may have gone wrong in it."""

    def __init__(self, browser: Browser, stack: RunningStack, *, token: str = "", **options: Any) -> None:
        self._context = browser.new_context(**options)
        self._context.add_init_script(WATCH_POLICY + WATCH_BARS)
        # Without a token the local stack signs the page in.
        self._address = f"{stack.url}/" + (f"#token={token}" if token else "")
        self._problems: list[str] = []

    def __enter__(self) -> Page:
        self._page = self._context.new_page()
        self._page.set_default_timeout(PAGE_MS)
        self._page.on("console", self._keep_error)
        self._page.on("pageerror", lambda error: self._problems.append(str(error)))
        self._page.goto(self._address)
        expect(self._page.get_by_role("heading", level=1)).to_be_visible(timeout=PAGE_MS)
        return self._page

    def _keep_error(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self._problems.append(f"{message.text} ({message.location.get('url')})")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        violations = self._page.evaluate("window.__violations")
        self._context.close()
        if kind is None:
            assert violations == []
            assert self._problems == []


def card(page: Page, name: str) -> Locator:
    """Find the card of the file `name`."""
    return page.get_by_role("article", name=name)


def write_note(folder: Path) -> Path:
    """Make a file that no other test has added, about something that has concepts."""
    unique = uuid.uuid4().hex[:12]
    path = folder / f"container-notes-{unique}.md"
    text = (
        f"# Container notes {unique}\n\n"
        "Docker builds container images. Kubernetes schedules containers on a cluster and restarts them.\n"
        "A Kubernetes deployment rolls out a new Docker image step by step. PostgreSQL keeps the state.\n\n"
    )
    path.write_text(text * 5, encoding="utf-8")
    return path


def choose(page: Page, *paths: Path) -> None:
    """Choose files with the browser's own dialogue."""
    with page.expect_file_chooser() as chooser:
        page.get_by_text("choose files").click()
    assert chooser.value.is_multiple()
    chooser.value.set_files(paths)
