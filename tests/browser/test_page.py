"""The page in a real Chromium, against a real running stack.

Every test also fails on a console error, an uncaught exception or a violation of the content security policy.
"""

from __future__ import annotations

import re
import uuid
import zipfile
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect
from pypdf import PdfWriter

from tests.browser.site import JOB_MS, PAGE_MS, SAMPLES, card, choose, new_page, write_note
from tests.stack import RunningStack

pytestmark = pytest.mark.browser


def test_a_chosen_file_becomes_a_document_with_concepts_and_a_topic(page: Page, tmp_path: Path) -> None:
    note = write_note(tmp_path)
    choose(page, note)

    # Done within moments on an idle machine: that there was a bar is read from what was kept of it, below.
    added = card(page, note.name)
    expect(added.get_by_text("Done", exact=True)).to_be_visible(timeout=JOB_MS)
    expect(added.get_by_role("list", name="Concepts").get_by_role("listitem").first).to_be_visible()
    topic = added.locator(".cluster")
    expect(topic).to_have_text(re.compile(r"Topic: \S+"))
    expect(added.get_by_role("progressbar")).to_be_hidden()
    values = page.evaluate("(name) => window.__bars[name]", note.name)
    assert values, "the bar was never seen"
    assert max(values) >= 10, "the upload itself did not move the bar"
    assert values == sorted(values)
    assert all(0 <= value <= 100 for value in values)

    added.get_by_role("link", name="Open document").click()
    expect(page.get_by_label("Text of the document")).to_contain_text("Kubernetes schedules containers")
    expect(page.get_by_role("heading", level=1)).to_be_focused()


def test_after_a_reload_the_job_and_the_document_are_still_there(page: Page, tmp_path: Path) -> None:
    note = write_note(tmp_path)
    choose(page, note)
    expect(card(page, note.name).get_by_text("Done", exact=True)).to_be_visible(timeout=JOB_MS)

    page.reload()
    page.get_by_role("link", name="Jobs").click()
    kept = card(page, note.name)
    expect(kept.get_by_text("Done", exact=True)).to_be_visible(timeout=PAGE_MS)
    expect(kept.get_by_role("list", name="Concepts")).to_be_visible()

    page.get_by_role("link", name="Documents").click()
    rows = page.get_by_role("main").get_by_role("listitem").filter(has_text=note.name)
    expect(rows).to_have_count(1, timeout=PAGE_MS)
    expect(rows.locator(".cluster")).to_be_visible()


def test_a_broken_pdf_says_what_is_wrong_and_its_job_tells_the_rest(page: Page, tmp_path: Path) -> None:
    broken = tmp_path / f"broken-{uuid.uuid4().hex[:8]}.pdf"
    broken.write_bytes(b"%PDF-1.7\nthis is no page tree\n")
    choose(page, broken)

    added = card(page, broken.name)
    expect(added.get_by_text("Failed", exact=True)).to_be_visible(timeout=JOB_MS)
    expect(added.locator(".error-message")).to_have_text(re.compile(r"\w+ \w+ \w+"))
    expect(added.get_by_text("Trying again with the same file won’t help.")).to_be_visible()
    expect(added.get_by_role("button", name="Upload again")).to_have_count(0)

    added.get_by_role("link", name=broken.name).click()
    details = page.locator("dl.details")
    expect(details).to_contain_text(page.url.rsplit("/", 1)[-1], timeout=PAGE_MS)
    expect(details).to_contain_text("Broken file")
    steps = page.locator(".timeline li")
    expect(steps.last).to_contain_text("Failure, attempt 1")
    # Whoever knows better may have it tried again, and sees here how that goes.
    before = steps.count()
    page.get_by_role("button", name="Try again").click()
    expect(steps.nth(before + 1)).to_be_visible(timeout=JOB_MS)
    expect(steps.last).to_contain_text("Failure", timeout=JOB_MS)


def test_an_encrypted_pdf_is_opened_with_its_password_after_a_reload_too(page: Page, tmp_path: Path) -> None:
    unique = uuid.uuid4().hex[:8]
    writer = PdfWriter(clone_from=SAMPLES / "job-queues.pdf")
    writer.add_metadata({"/Subject": unique})
    writer.encrypt("open-sesame", algorithm="RC4-128")
    locked = tmp_path / f"locked-{unique}.pdf"
    writer.write(locked)
    choose(page, locked)

    added = card(page, locked.name)
    for password, outcome in (("wrong", "Failed"), ("open-sesame", "Done")):
        added.get_by_label("Password of the file").fill(password, timeout=JOB_MS)
        with page.expect_response("**/retry"):
            added.get_by_role("button", name="Open").click()
        expect(added.get_by_text(outcome, exact=True)).to_be_visible(timeout=JOB_MS)
        if outcome == "Failed":
            # The file is no longer at hand: the service has kept it.
            page.reload()
            page.locator("nav").get_by_role("link", name="Jobs").click()


def test_an_archive_names_its_documents_and_what_it_left_out(page: Page, tmp_path: Path) -> None:
    unique = uuid.uuid4().hex[:8]
    archive = tmp_path / f"papers-{unique}.zip"
    with zipfile.ZipFile(archive, "w") as papers:
        papers.writestr("note.md", f"# Kubernetes {unique}\n\nKubernetes schedules Docker containers.\n")
        papers.writestr("data.bin", bytes(range(256)) * 8)
    choose(page, archive)

    added = card(page, archive.name)
    added.get_by_text("1 document", exact=True).click(timeout=JOB_MS)
    added.get_by_text("1 left out", exact=True).click()
    expect(added.get_by_role("listitem").filter(has_text="data.bin")).to_have_text(
        re.compile(r"data\.bin\s*\w+.+\w+")
    )
    added.get_by_role("listitem").filter(has_text="note.md").get_by_role("link").click()
    expect(page.get_by_label("Text of the document")).to_contain_text(unique, timeout=PAGE_MS)


def test_an_empty_file_is_refused_at_once(page: Page, tmp_path: Path) -> None:
    empty = tmp_path / "empty.txt"
    empty.touch()
    choose(page, empty)
    expect(card(page, "empty.txt").get_by_text("The file is empty.")).to_be_visible()


def test_several_files_are_added_at_once(page: Page, tmp_path: Path) -> None:
    notes = [write_note(tmp_path) for _ in range(8)]
    choose(page, *notes)
    for note in notes:
        expect(card(page, note.name).get_by_text("Done", exact=True)).to_be_visible(timeout=JOB_MS)


def test_pasted_text_becomes_a_document(page: Page) -> None:
    page.evaluate(
        """() => {
          const clipboardData = new DataTransfer();
          clipboardData.setData("text/plain", "Kubernetes and Docker. " + crypto.getRandomValues(new Uint8Array(8)));
          const event = new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true });
          document.body.dispatchEvent(event);
        }"""
    )
    pasted = page.get_by_role("article", name=re.compile("^Pasted"))
    expect(pasted.get_by_text("Done", exact=True)).to_be_visible(timeout=JOB_MS)


def test_dropped_files_are_added(page: Page) -> None:
    name = f"dropped-{uuid.uuid4().hex[:8]}.txt"
    page.evaluate(
        """(name) => {
          const dataTransfer = new DataTransfer();
          const text = `Docker images and Kubernetes pods. ${name}`;
          dataTransfer.items.add(new File([text], name, { type: "text/plain" }));
          document.body.dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true }));
        }""",
        name,
    )
    expect(card(page, name).get_by_text("Done", exact=True)).to_be_visible(timeout=JOB_MS)


def test_a_folder_is_added_with_all_that_is_in_it_but_what_is_hidden(page: Page, tmp_path: Path) -> None:
    folder = tmp_path / "papers"
    (folder / "below").mkdir(parents=True)
    (folder / ".git").mkdir()
    (folder / ".git" / "config").write_text("[core]", encoding="utf-8")
    notes = [write_note(folder), write_note(folder / "below")]
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose a folder").click()
    chooser.value.set_files(folder)
    for note in notes:
        expect(card(page, note.name).get_by_text("Done", exact=True)).to_be_visible(timeout=JOB_MS)
    expect(page.get_by_role("article")).to_have_count(2)
    expect(page.get_by_text("2 files added. 1 hidden or system entry left out.")).to_be_visible()


def test_dropped_folders_are_walked_up_to_a_limit(page: Page) -> None:
    """The walk itself, over folders as browsers hand them out: a hundred entries at a time."""
    found = page.evaluate(
        """async () => {
          const { dropped, MOST } = await import("./page/folders.js");
          const leaf = (name) => ({ name, fullPath: `/${name}`, file: (done) => done(new File(["x"], name)) });
          const folder = (name, entries) => ({ name, isDirectory: true, createReader() {
            const left = [...entries];
            return { readEntries: (done) => done(left.splice(0, 100)) };
          } });
          const drop = (entry) => dropped({
            items: [{ kind: "file", webkitGetAsEntry: () => entry, getAsFile: () => null }],
          });
          const many = (count) => Array.from({ length: count }, (_, index) => leaf(`${index}.txt`));
          const some = await drop(folder("a", [folder("b", many(250)), folder(".git", many(3)), leaf(".DS_Store")]));
          const full = await drop(folder("a", many(MOST + 1)));
          return [some.files.length, some.files[9].name, some.left, some.over, full.files.length, full.over];
        }"""
    )
    assert found == [250, "9.txt", 2, False, 0, True]


def test_the_samples_can_be_tried(page: Page, stack: RunningStack) -> None:
    samples = page.request.get(f"{stack.url}/_local/session").json()["samples"]
    page.get_by_role("button", name="Try the samples").click()
    # This stack has no containers: pictures and recordings wait, and say what for.
    heard = {"minutes-scan.pdf", "recipe-photo.jpg", "screencast.webm", "standup.mp3"}
    for name in {sample["name"] for sample in samples} - heard:
        # Some samples are there to show how an error looks.
        outcome = card(page, name).get_by_text(re.compile("^(Done|Failed)$"))
        expect(outcome).to_be_visible(timeout=JOB_MS)
    expect(page.get_by_role("article").get_by_text("Done", exact=True).first).to_be_visible()
    waits = card(page, "standup.mp3").get_by_text(
        "Waiting for speech recognition: this stack was started without it"
    )
    expect(waits).to_be_visible(timeout=JOB_MS)


def test_advice_depends_on_the_error_and_on_what_failed(page: Page) -> None:
    said = page.evaluate(
        """async () => {
          const { adviceOn } = await import("./page/advice.js");
          const link = { job: { task: "process_url_upload", filename: "https://example.org/" } };
          const file = { job: { task: "process_file_upload", filename: "a.pdf" } };
          const work = { job: { task: "regroup_library" } };
          const error = (type, retryable = false) => ({ type, retryable });
          return [
            adviceOn(error("attempts_exhausted"), link), adviceOn(error("source_not_found"), link),
            adviceOn(error("broken_file"), link), adviceOn(error("broken_file"), file),
            adviceOn(error("worker_lost"), file), adviceOn(error("unavailable", true), file),
            adviceOn(error("internal_error"), work),
          ];
        }"""
    )
    assert "try again later" in said[0]
    assert "Check the address" in said[1]
    assert not any("file" in advice for advice in said[:3])
    assert "same file won’t help" in said[3]
    assert "can help" in said[4]
    assert "can help" in said[5]
    assert said[6] is None


def test_a_link_is_pasted_anywhere_and_becomes_a_job(page: Page) -> None:
    address = f"https://example.invalid/{uuid.uuid4().hex}.md"
    page.evaluate(
        """(address) => {
          const clipboardData = new DataTransfer();
          clipboardData.setData("text/plain", address);
          const event = new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true });
          document.body.dispatchEvent(event);
        }""",
        address,
    )
    expect(page.get_by_label("Link to a page, a file or a film")).to_have_value(address)
    page.get_by_role("button", name="Add link").click()
    expect(card(page, address)).to_be_visible(timeout=PAGE_MS)


def test_the_keyboard_reaches_the_file_chooser_and_the_sections(page: Page) -> None:
    reached = []
    for _ in range(16):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()")
        )
    assert reached[0] == "skip"
    assert {"find-words", "Add", "Jobs", "Documents", "Topics", "Insights", "sign-out", "files"} <= {
        re.sub(r"\d+ running$", "", one) for one in reached
    }
    with page.expect_file_chooser():
        page.locator("#files").focus()
        page.keyboard.press("Enter")


def test_the_status_line_names_what_can_be_read(page: Page) -> None:
    line = page.locator("#health")
    expect(line.get_by_text("Service is up")).to_be_visible(timeout=PAGE_MS)
    expect(line.get_by_text(re.compile(r"^PDF (ready|being prepared|not available)$"))).to_be_visible()


def test_the_page_is_served_under_a_strict_policy(page: Page, stack: RunningStack) -> None:
    response = page.request.get(f"{stack.url}/")
    policy = response.headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_sticks_out_on_a_narrow_screen(browser: Browser, stack: RunningStack, scheme: Any) -> None:
    with new_page(browser, stack, viewport={"width": 360, "height": 740}, color_scheme=scheme) as page:
        sections = page.locator("nav a > span:first-of-type").all_inner_texts()
        assert {"Add", "Search", "Topics", "Duplicates", "Ideas", "Insights"} <= set(sections)
        for section in sections:
            page.locator("nav").get_by_role("link", name=section).click()
            expect(page.locator(f"nav a[aria-current=page]:has-text('{section}')")).to_be_visible()
            expect(page.get_by_role("heading", level=1)).to_be_visible()
            assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_who_signs_out_is_asked_for_a_token(page: Page) -> None:
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Access token")).to_be_visible()
    expect(page.get_by_role("navigation")).to_be_hidden()
    page.reload()
    expect(page.get_by_label("Access token")).to_be_visible()
    page.get_by_role("button", name="Sign in on this machine").click()
    expect(page.get_by_role("heading", name="Add to your knowledge bank")).to_be_visible()


def test_a_token_in_the_address_signs_in_and_leaves_the_address(page: Page, stack: RunningStack) -> None:
    token = page.request.get(f"{stack.url}/_local/session").json()["token"]
    page.goto("about:blank")
    page.goto(f"{stack.url}/#token={token}")
    expect(page.get_by_text("Signed in", exact=True)).to_be_visible()
    assert page.url == f"{stack.url}/"


def test_a_refused_token_leads_back_to_the_sign_in(browser: Browser, stack: RunningStack) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{stack.url}/#token=forged")
    expect(page.get_by_text("Your sign-in is no longer valid. Please sign in again.")).to_be_visible(
        timeout=PAGE_MS
    )
    expect(page.get_by_role("button", name="Sign in on this machine")).to_be_visible(timeout=PAGE_MS)
    page.get_by_label("Access token").fill("forged-again")
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_text("This token is not valid, or it has expired.")).to_be_visible(timeout=PAGE_MS)
    page.evaluate("location.hash = '#token=pasted'")
    expect(page.get_by_text("Your sign-in is no longer valid.")).to_be_visible(timeout=PAGE_MS)
    assert "pasted" not in page.url
    page.get_by_role("button", name="Sign in on this machine").click()
    expect(page.get_by_role("heading", name="Add to your knowledge bank")).to_be_visible(timeout=PAGE_MS)
    context.close()


def test_a_lost_connection_is_shown_and_overcome(
    browser: Browser, stack: RunningStack, tmp_path: Path
) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{stack.url}/")
    lost = 0

    def lose_two(route: Route) -> None:
        nonlocal lost
        lost += 1
        if lost <= 2:
            route.abort()
        else:
            route.continue_()

    page.route("**/uploads", lose_two)
    note = write_note(tmp_path)
    choose(page, note)
    expect(page.get_by_text("The server can’t be reached. Trying again…")).to_be_visible(timeout=PAGE_MS)
    expect(card(page, note.name).get_by_text("Done", exact=True)).to_be_visible(timeout=JOB_MS)
    expect(page.get_by_text("The server can’t be reached.")).to_be_hidden()
    assert lost == 3
    context.close()


def test_a_refused_upload_quotes_what_the_storage_said(
    browser: Browser, stack: RunningStack, tmp_path: Path
) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{stack.url}/")
    answer = (
        '<?xml version="1.0" encoding="UTF-8"?><Error><Code>EntityTooLarge</Code><Message>Your proposed upload '
        "exceeds the maximum allowed size</Message><MaxSizeAllowed>1048576</MaxSizeAllowed></Error>"
    )

    def refuse(route: Route) -> None:
        if "multipart/form-data" in route.request.headers.get("content-type", ""):
            route.fulfill(status=400, content_type="application/xml", body=answer)
        else:
            route.continue_()

    page.route("**/*", refuse)
    note = write_note(tmp_path)
    choose(page, note)
    added = card(page, note.name)
    expect(added.get_by_text("Not uploaded")).to_be_visible(timeout=PAGE_MS)
    expect(added.get_by_text("The file is larger than 1 MB.")).to_be_visible()
    context.close()


def test_the_bar_never_runs_backwards_and_is_never_without_a_number(page: Page) -> None:
    """The rule itself, in the browser's own JavaScript: what servers may send against what is shown."""
    shown = page.evaluate(
        """async () => {
          const { nextPercent } = await import("./page/jobs.js");
          const sent = [
            [1, "PENDING", 0], [1, "PROCESSING", 25], [1, "PROCESSING", 10], [1, "PROCESSING", null],
            [1, "PROCESSING", "NaN"], [1, "PROCESSING", undefined], [1, "PROCESSING", -5], [1, "PROCESSING", 150],
            [1, "RETRY", 0], [2, "PROCESSING", 10], [2, "PROCESSING", 50], [2, "SUCCESS", 0],
          ];
          let entry = { percent: 0, attempt: 0 };
          return sent.map(([attempt, state, percent]) => {
            entry = { percent: nextPercent(entry, { attempt, state, meta: { percent } }), attempt };
            return entry.percent;
          });
        }"""
    )
    assert shown == [0, 25, 25, 25, 25, 25, 25, 99, 99, 10, 50, 100]


def test_an_old_list_does_not_undo_what_is_known(page: Page) -> None:
    verdicts = page.evaluate(
        """async () => {
          const { supersedes } = await import("./page/jobs.js");
          const job = (state, attempt) => ({ state, attempt });
          return [
            supersedes(job("SUCCESS", 1), job("PROCESSING", 1), false),
            supersedes(job("SUCCESS", 1), job("PROCESSING", 1), true),
            supersedes(job("PROCESSING", 2), job("RETRY", 1), false),
            supersedes(job("PROCESSING", 1), job("PENDING", 0), false),
            supersedes(job("PROCESSING", 1), job("RETRY", 1), false),
            supersedes(job("RETRY", 1), job("PROCESSING", 2), false),
            supersedes(job("FAILURE", 4), job("PROCESSING", 4), false),
            supersedes(job("FAILURE", 4), job("PENDING", 0), false),
          ];
        }"""
    )
    assert verdicts == [False, False, False, False, True, True, False, True]
