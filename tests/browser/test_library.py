"""What the page makes of a library: search, topics, duplicates, ideas, insights."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.site import JOB_MS, PAGE_MS, SAMPLES, card, new_page
from tests.stack import RunningStack, run_all

pytestmark = pytest.mark.browser

TOPIC = ("slow-queries.md", "slow-queries-mailed.txt", "postgres-indexes.md", "orders.sql")
COPIES = ("sourdough.txt", "sourdough-second-edition.md")


def token_with(stack: RunningStack, *names: str) -> str:
    """Return the token of a new user whose library holds these samples."""
    token = stack.token_of(f"reader-{uuid.uuid4().hex[:8]}")
    with stack.client_of(token) as client:
        ended = run_all(client, *(SAMPLES / name for name in names))
        assert [status["state"] for status in ended] == ["SUCCESS"] * len(names)
    return token


@pytest.fixture(scope="module")
def reader(stack: RunningStack) -> str:
    """A user whose library no test changes for good."""
    return token_with(stack, *TOPIC)


@pytest.fixture
def library(browser: Browser, stack: RunningStack, reader: str) -> Iterator[Page]:
    with new_page(browser, stack, token=reader) as page:
        yield page


def go(page: Page, section: str) -> None:
    page.locator("nav").get_by_role("link", name=section).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(section)


def test_the_search_that_is_always_there_finds_and_leads_on(library: Page) -> None:
    library.keyboard.press("/")
    box = library.get_by_label("Search the library")
    expect(box).to_be_focused()
    box.fill("planner wrong statistics")
    box.press("Enter")
    main = library.get_by_role("main")
    hits = main.get_by_role("listitem").filter(has_text="slow-queries")
    expect(hits).to_have_count(2, timeout=PAGE_MS)
    expect(hits.first.locator("mark").filter(has_text="planner").first).to_be_visible()

    main.get_by_label("Type").select_option("markdown")
    expect(hits).to_have_count(1)
    assert "type=markdown" in library.url
    library.go_back()
    expect(hits).to_have_count(2)
    hits.first.get_by_role("link", name="Finding and fixing slow queries").click()
    expect(library.get_by_role("heading", level=2, name="Near duplicates")).to_be_visible()
    # Editions of a document have one title: the file's name tells them apart.
    expect(library.locator(".alike")).to_contain_text(re.compile(r"slow-queries(-mailed\.txt|\.md)"))


def test_a_search_without_a_hit_says_what_to_do(library: Page) -> None:
    go(library, "Search")
    library.get_by_label("Search for").fill("xylophone")
    library.get_by_label("Search for").press("Enter")
    expect(library.get_by_text("No document has these words.")).to_be_visible(timeout=PAGE_MS)


def test_a_topic_is_renamed_in_place_opened_and_exported(library: Page) -> None:
    go(library, "Topics")
    library.get_by_role("button", name="Rename ").first.click()
    library.get_by_label("Name of the topic").fill("Our databases")
    library.get_by_label("Name of the topic").press("Enter")
    library.get_by_role("link", name="Our databases").click()
    expect(library.get_by_role("heading", level=1)).to_have_text("Our databases", timeout=PAGE_MS)
    expect(library.get_by_text("named by you")).to_be_visible()
    expect(library.get_by_role("link", name="Finding and fixing slow queries").first).to_be_visible()
    with library.expect_download() as saved:
        library.get_by_role("button", name="JSON").click()
    assert saved.value.suggested_filename == "Our-databases.json"
    exported = json.loads(Path(saved.value.path()).read_text(encoding="utf-8"))
    assert exported["cluster"]["name"] == "Our databases"
    assert any("slow all at once" in document["text"] for document in exported["documents"])


def test_duplicates_are_compared_and_merged_after_a_question(browser: Browser, stack: RunningStack) -> None:
    with new_page(browser, stack, token=token_with(stack, *COPIES)) as page:
        go(page, "Duplicates")
        expect(
            page.get_by_role("heading", name=re.compile("^2 documents, up to 9[0-9] % alike$"))
        ).to_be_visible(timeout=PAGE_MS)
        told = re.findall(r"([\d,]+) characters", page.locator(".members").inner_text())
        most = max(told, key=lambda figure: int(figure.replace(",", "")))
        kept = page.locator(".member.kept")
        expect(kept).to_contain_text(f"{most} characters")
        page.get_by_role("link", name="Compare").click()
        expect(page.get_by_role("heading", level=1)).to_have_text(
            re.compile("^9[0-9] % alike$"), timeout=PAGE_MS
        )
        page.get_by_role("button", name="Next").click()
        current = page.locator("mark.current")
        expect(current).to_have_count(2)
        assert current.first.inner_text().split() == current.last.inner_text().replace("#", "").split()
        page.get_by_role("link", name="All duplicates").click()

        page.get_by_role("button", name="Merge…").click()
        question = page.get_by_role("dialog")
        expect(question).to_contain_text("can’t be undone")
        page.keyboard.press("Escape")
        expect(question).to_be_hidden()
        page.get_by_role("button", name="Merge…").click()
        question.get_by_role("button", name="Delete 1 document").click()
        expect(page.get_by_role("heading", name="No duplicates")).to_be_visible(timeout=PAGE_MS)

        page.get_by_role("button", name="Compare all again").click()
        expect(page.get_by_text("1 document compared: nothing new.")).to_be_visible(timeout=JOB_MS)


def test_ideas_name_the_documents_that_speak_for_them(library: Page) -> None:
    go(library, "Ideas")
    expect(library.get_by_role("heading", name="No ideas yet")).to_be_visible(timeout=PAGE_MS)
    library.get_by_role("button", name="What can I build?").click()
    idea = library.get_by_role("article").first
    expect(idea.get_by_role("heading", name="What speaks for it")).to_be_visible(timeout=JOB_MS)
    library.locator("nav").get_by_role("link", name="Jobs").click()
    made = card(library, "Ideas").first
    expect(made.get_by_text("Done", exact=True)).to_be_visible(timeout=PAGE_MS)
    made.get_by_role("link", name=re.compile(r"^\d+ ideas?")).click()
    evidence = idea.locator(".evidence").get_by_role("link").first
    expect(evidence).to_be_visible(timeout=PAGE_MS)
    title = evidence.inner_text()
    evidence.click()
    expect(library.get_by_role("heading", level=1)).to_have_text(title, timeout=PAGE_MS)


def test_insights_count_and_can_be_saved(library: Page) -> None:
    go(library, "Insights")
    documents = library.locator(".figure").filter(has_text="Documents")
    expect(documents.locator("dd")).to_contain_text(str(len(TOPIC)), timeout=JOB_MS)
    expect(library.get_by_role("img", name=re.compile("^Documents added by day: 4 in all"))).to_be_visible()
    library.get_by_text("7 days", exact=True).click()
    expect(library.locator(".chart-bar")).to_have_count(7)
    with library.expect_download() as saved:
        library.get_by_role("button", name="CSV").click()
    assert "overview,total_documents,4" in Path(saved.value.path()).read_text(encoding="utf-8")


def test_the_service_is_shown_in_figures_and_failed_jobs_are_started_over(
    browser: Browser, stack: RunningStack
) -> None:
    token = stack.token_of(f"reader-{uuid.uuid4().hex[:8]}")
    with stack.client_of(token) as client:
        (ended,) = run_all(client, SAMPLES / "broken.pdf")
        assert ended["state"] == "FAILURE"
    with new_page(browser, stack, token=token) as page:
        go(page, "Service")
        queues = page.get_by_role("region", name="Queue")
        expect(queues.get_by_role("row").filter(has_text="low_priority")).to_be_visible(timeout=PAGE_MS)
        expect(page.get_by_role("region", name="Works on").get_by_role("row")).not_to_have_count(0)
        expect(page.get_by_role("img", name=re.compile("^Jobs that ended: "))).to_be_visible()
        failed = page.get_by_role("region", name="Your failed jobs")
        expect(failed.get_by_role("listitem")).to_contain_text("broken.pdf")
        failed.get_by_role("button", name="Retry all 1").click()
        page.get_by_role("dialog").get_by_role("button", name="Retry all failed").click()
        expect(page.get_by_role("dialog")).to_be_hidden(timeout=PAGE_MS)

        page.locator("nav").get_by_role("link", name="Jobs").click()
        page.get_by_role("combobox", name="State").select_option("SUCCESS")
        expect(page.get_by_role("heading", name="No such jobs")).to_be_visible(timeout=PAGE_MS)
        page.get_by_role("combobox", name="State").select_option("")
        page.get_by_label("Find jobs by the name of a file or an id").fill("brok")
        expect(page).to_have_url(re.compile(r"#/jobs\?q=brok$"), timeout=PAGE_MS)
        expect(page.get_by_role("article", name="broken.pdf").locator("visible=true")).to_have_count(1)

        # What was submitted elsewhere shows up without a reload.
        page.get_by_label("Find jobs by the name of a file or an id").fill("")
        with stack.client_of(token) as client:
            run_all(client, SAMPLES / "orders.sql")
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        expect(page.get_by_role("article", name="orders.sql").locator("visible=true")).to_have_count(1)
    with stack.client_of(token) as client:
        timeline = client.job(ended["job_id"])["timeline"]
        assert any("retried" in line["note"] for line in timeline)


def test_a_topic_is_taken_apart_and_a_document_deleted_after_a_question(
    browser: Browser, stack: RunningStack
) -> None:
    with new_page(browser, stack, token=token_with(stack, "orders.sql")) as page:
        go(page, "Topics")
        page.get_by_role("main").get_by_role("listitem").get_by_role("heading").get_by_role("link").click()
        page.get_by_role("button", name="Take apart…").click()
        page.get_by_role("dialog").get_by_role("button", name="Take apart").click()
        expect(page.get_by_role("link", name="Other", exact=True)).to_be_visible(timeout=JOB_MS)
        go(page, "Documents")
        page.get_by_role("main").get_by_role("listitem").get_by_role("link").first.click()
        page.get_by_role("button", name="Delete").click()
        page.get_by_role("dialog").get_by_role("button", name="Delete document").click()
        expect(page.get_by_role("heading", name="No documents yet")).to_be_visible(timeout=PAGE_MS)
