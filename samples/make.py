"""Make the sample PDFs. Same bytes at every run; needs reportlab (BSD), a tool for development only."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Final

from reportlab.lib.pagesizes import A4
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.platypus import PageBreak, Paragraph, SimpleDocTemplate, Spacer

PASSWORD: Final = "open-sesame"  # the README tells it

_FOLDER: Final = Path(__file__).resolve().parent
_TITLE: Final = "A field guide to job queues"

# One list a page: headings start with "# ".
_PAGES: Final = (
    (
        "# A field guide to job queues",
        "A job queue separates the moment in which work is accepted from the moment in which it is done. The caller "
        "gets an answer at once, and a worker does the slow part later. Everything that is interesting about queues "
        "follows from the fact that between those two moments anything may crash.",
        "# Delivery",
        "Most queues deliver a message at least once. The broker hides a message while a worker holds it, and shows "
        "it again when the worker does not confirm in time. A worker that is slow looks exactly like a worker that "
        "is dead, so the same message may be worked on twice. A queue that promises exactly one delivery either "
        "keeps state about every message or has redefined the word delivery.",
        "The remedy lies with the consumer. Make the effect idempotent: give every job an identity, write its result "
        "under a condition that only the first writer can meet, and let the second one find that there is nothing "
        "left to do.",
        "# Visibility",
        "The visibility timeout is a lease. If it is shorter than the work, jobs run twice; if it is much longer, a "
        "crash is noticed late. Start with a short lease and renew it from a thread or a process that does not do "
        "the work itself.",
    ),
    (
        "# Retries",
        "Not every failure deserves a retry. A damaged file is as damaged on the fourth attempt as on the first. "
        "Divide errors by one question: could the same input succeed later? Network failures, throttling and "
        "restarts could. Wrong input, missing permission and broken files could not.",
        "Space the attempts exponentially and add jitter. Without jitter all clients that failed together come back "
        "together, and the service that was just recovering falls over again. Full jitter, a random wait between "
        "zero and the current cap, spreads the load best.",
        "# Dead letters",
        "A message that fails again and again must not block the queue. After a number of attempts the broker moves "
        "it to a dead-letter queue, where a person can look at it. A dead-letter queue that nobody looks at is a "
        "slow way of losing data, so put an alarm on its depth and write down how a message gets back.",
        "# Back-pressure",
        "When work arrives faster than it is done, something has to give. Either the queue grows, and waiting times "
        "with it, or the producer is told to slow down. Say so early, with a status code and a time to come back, "
        "rather than late, with a timeout.",
    ),
    (
        "# Fairness",
        "One customer who uploads five hundred files at noon should not make everybody else wait until three. A "
        "single first-in, first-out queue does just that. Limit how many jobs of one owner may be in the queue at "
        "once, and keep the rest aside in a table; or give each owner a queue and visit them in turn.",
        "# What to measure",
        "Depth alone says little, because a deep queue that drains quickly is healthy. Measure the age of the oldest "
        "message, the time from submission to completion at the median and at the ninety-ninth percentile, the share "
        "of attempts that fail by type of error, and the number of executions for each completed job. The last one "
        "should be close to one. When it rises, leases are too short or workers are dying.",
        "# A checklist",
        "Is the job recorded before the message is sent? Can a message be lost without anybody noticing? Does a job "
        "that kills its worker end, or does it return for ever? Can a stale worker overwrite a newer result? Can "
        "work be cancelled while it runs? A queue for which these questions have short answers will be boring to "
        "operate, and boring is what you want at four in the morning.",
    ),
)


def guide(password: str | None = None) -> bytes:
    """Return the three-page guide as PDF, encrypted when there is a password."""
    styles = getSampleStyleSheet()
    flow = []
    for page in _PAGES:
        for paragraph in page:
            style = styles["Heading1"] if paragraph.startswith("# ") else styles["BodyText"]
            flow += [Paragraph(paragraph.removeprefix("# "), style), Spacer(1, 6)]
        flow.append(PageBreak())
    # RC4: weak, but the same at every run; AES starts from random numbers.
    encryption = StandardEncryption(password, strength=128) if password else None
    buffer = io.BytesIO()
    SimpleDocTemplate(
        buffer, pagesize=A4, invariant=1, title=_TITLE, author="SyncBoard", encrypt=encryption
    ).build(flow)
    return buffer.getvalue()


def main() -> None:
    """Write the PDFs beside this file."""
    whole = guide()
    (_FOLDER / "job-queues.pdf").write_bytes(whole)
    # Its page tree and cross-reference table are in the part that is missing.
    (_FOLDER / "broken.pdf").write_bytes(whole[: len(whole) * 2 // 5])
    (_FOLDER / "locked.pdf").write_bytes(guide(PASSWORD))


if __name__ == "__main__":
    main()
