"""`tidy_library`: what came lately moves into the search index's segments, what was deleted leaves them."""

from __future__ import annotations

import time
from typing import Final

from chalicelib.errors import HandOver
from chalicelib.jobs.run import Publication, Run
from chalicelib.jobs.states import Stage
from chalicelib.library.background import owner_of
from chalicelib.library.tidying import tidying

# A step takes well under this.
_STEP_SECONDS: Final = 60.0
# Between two steps that came to nothing because another tidying was quicker.
_PAUSE_SECONDS: Final = 0.2


def tidy_library(run: Run) -> None:
    """Do all there is to do for the owner of the library. Raise HandOver where the time does not suffice."""
    run.progress(Stage.SAVING, "Tidying the library")
    added = removed = 0
    for done in tidying(run.table, run.objects, owner_of(run.job)):
        added, removed = added + done.added, removed + done.removed
        if not done.added and not done.removed:
            time.sleep(_PAUSE_SECONDS)
        if run.seconds_left() < _STEP_SECONDS:
            raise HandOver("Tidying on", queue=run.job.queue)
    run.publish(lambda: Publication(result={"added": added, "removed": removed}))
