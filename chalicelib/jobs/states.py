"""The states of a job, the legal moves between them, and the stages that a user sees.

docs/jobs.md draws this machine and explains each edge.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class State(StrEnum):
    """Where a job is. SUCCESS and REVOKED are final; FAILURE is left only by an explicit retry."""

    PENDING = "PENDING"
    PROCESSING = "PROCESSING"
    RETRY = "RETRY"
    SUCCESS = "SUCCESS"
    FAILURE = "FAILURE"
    REVOKED = "REVOKED"


# To each state, the states from which it may be reached. Every write names them in its condition, so the
# database refuses all others. PENDING → PENDING is the upload's arrival; PROCESSING → PROCESSING is progress,
# renewal and hand-over; a new job is a conditional put.
SOURCES: Final[dict[State, frozenset[State]]] = {
    State.PENDING: frozenset({State.PENDING, State.FAILURE}),
    State.PROCESSING: frozenset({State.PENDING, State.RETRY, State.PROCESSING}),
    State.RETRY: frozenset({State.PROCESSING, State.RETRY}),
    State.SUCCESS: frozenset({State.PROCESSING}),
    State.FAILURE: frozenset({State.PENDING, State.PROCESSING, State.RETRY}),
    State.REVOKED: frozenset({State.PENDING, State.PROCESSING, State.RETRY}),
}

TERMINAL: Final = frozenset({State.SUCCESS, State.FAILURE, State.REVOKED})


class Stage(StrEnum):
    """What a job is doing or waiting for: `meta.stage`."""

    AWAITING_UPLOAD = "awaiting_upload"
    WAITING_TURN = "waiting_turn"
    SCHEDULED = "scheduled"
    QUEUED = "queued"
    # Shown while what a waiting job needs is being installed; never written.
    PREPARING = "preparing"
    STARTING = "starting"
    DECODING = "decoding"
    EXTRACTING_TEXT = "extracting_text"
    # An archive's, while the jobs of its files are at work.
    READING_FILES = "reading_files"
    AI_ANALYSIS = "ai_analysis"
    CLUSTERING = "clustering"
    SAVING = "saving"
    DONE = "done"


# Where each stage of an ingestion starts, in percent.
PERCENT: Final[dict[Stage, int]] = {
    Stage.DECODING: 10,
    Stage.EXTRACTING_TEXT: 25,
    Stage.AI_ANALYSIS: 50,
    Stage.CLUSTERING: 75,
    Stage.SAVING: 90,
}


def span(stage: Stage) -> tuple[int, int]:
    """Return where a stage of a run starts and where the next one does, in percent."""
    if stage is Stage.READING_FILES:  # all that an archive does after its unpacking
        return PERCENT[Stage.EXTRACTING_TEXT], 99
    start = PERCENT.get(stage, 1)
    return start, min((percent for percent in PERCENT.values() if percent > start), default=99)
