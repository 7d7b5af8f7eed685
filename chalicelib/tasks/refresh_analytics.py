"""`refresh_analytics`: an owner's snapshot of figures, made anew."""

from __future__ import annotations

from typing import Final

import msgspec

from chalicelib.errors import HandOver
from chalicelib.jobs.job import now_ms
from chalicelib.jobs.run import Publication, Run
from chalicelib.jobs.states import Stage
from chalicelib.library import upkeep
from chalicelib.library.analytics import put_snapshot, snapshot_of, some_are_gone
from chalicelib.library.analytics_jobs import recent_jobs
from chalicelib.library.background import owner_of
from chalicelib.library.documents import Counts, Documents
from chalicelib.library.tally import Tally, read_page

# With so little time left the next run goes on.
_LAST_SECONDS: Final = 60.0


def refresh_analytics(run: Run) -> None:
    """Count all documents page by page, look at recent jobs, publish the snapshot.

    Raise HandOver where the time does not suffice: the next run goes on with what was counted.
    """
    owner = owner_of(run.job)
    documents = Documents(run.table, owner)
    saved = run.checkpoint.load()
    counts = documents.counts()
    fresh = Tally(as_of=now_ms(), removed=counts.removed)
    tally = msgspec.msgpack.decode(saved, type=Tally) if saved else fresh
    total = max(1, counts.documents)
    while not tally.done:
        read_page(documents, tally)
        message = f"{tally.documents:,} documents counted"
        run.progress(Stage.EXTRACTING_TEXT, message, share=tally.documents / total)
        if run.seconds_left() < _LAST_SECONDS:
            run.checkpoint.save(msgspec.msgpack.encode(tally))
            raise HandOver(f"Going on after {tally.documents:,} documents", queue=run.job.queue)
    run.progress(Stage.SAVING, "Looking at recent jobs")
    snapshot = snapshot_of(run.table, owner, tally, recent_jobs(run.table, owner))
    result = {"as_of": snapshot.as_of, "documents": tally.documents}
    run.publish(lambda: Publication(result=result, writes=[put_snapshot(owner, snapshot)]))
    if some_are_gone(Counts(documents=tally.documents, removed=tally.removed), documents.counts()):
        upkeep.request(run.table, owner)  # it may tell of what was deleted meanwhile, after the last tidying
