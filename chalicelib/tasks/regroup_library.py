"""`regroup_library`: the topics of a whole library found anew; documents move, ids and names of topics stay."""

from __future__ import annotations

from typing import Final

import msgspec

from chalicelib.errors import HandOver
from chalicelib.jobs.run import Publication, Run
from chalicelib.jobs.states import Stage
from chalicelib.library.background import owner_of
from chalicelib.library.documents import Documents
from chalicelib.library.regrouping import Plan, Regrouping

# With so little time left the next run goes on.
_LAST_SECONDS: Final = 60.0
# Reading ends when so little of a run is left: what was read by then leads the others.
_READING_SECONDS: Final = 240.0


def regroup_library(run: Run) -> None:
    """Regroup the library of the job's owner. Raise RetryAfter while another job does, HandOver for more time."""
    regrouping = Regrouping(run.table, run.objects, owner_of(run.job))
    if not regrouping.claim(run.job.job_id):
        nothing = {"documents": 0, "moved": 0, "clusters_before": 0, "clusters_after": 0}
        run.publish(lambda: Publication(result=nothing))
        return
    saved = run.checkpoint.load()
    plan = msgspec.msgpack.decode(saved, type=Plan) if saved else _plan(run, regrouping)
    for _ in regrouping.carry_out(plan):
        run.progress(Stage.SAVING, f"{plan.moved:,} documents moved")
        if run.seconds_left() < _LAST_SECONDS:
            run.checkpoint.save(msgspec.msgpack.encode(plan))
            raise HandOver(f"Going on after {plan.moved:,} documents were moved", queue=run.job.queue)
    clusters = regrouping.finish(plan)
    result = {
        "documents": plan.documents,
        "moved": plan.moved,
        "clusters_before": plan.clusters_before,
        "clusters_after": clusters,
    }
    regrouping.release(run.job.job_id, documents=plan.documents, clusters=clusters)
    run.publish(lambda: Publication(result=result))


def _plan(run: Run, regrouping: Regrouping) -> Plan:
    total = max(1, Documents(run.table, regrouping.owner).count())

    def goes_on(read: int) -> bool:
        run.progress(Stage.EXTRACTING_TEXT, f"{read:,} documents read", share=read / total)
        return run.seconds_left() > _READING_SECONDS

    def on_progress(share: float) -> None:
        run.progress(Stage.CLUSTERING, "Finding topics", share=share)

    return regrouping.plan(goes_on, on_progress)
