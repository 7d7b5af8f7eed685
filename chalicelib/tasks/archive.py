"""An archive becomes many documents: one job splits it, a job of its own makes each document, the first one waits.

The splitting run unpacks the archive (in the sandbox), stores each document's bytes and makes its job; ids derive
from the archive's job and the document's place, so a run that follows a lost one makes none of them twice. Then the
job is put off again and again, each time for longer, and looks how its children are; meanwhile it holds no worker
and no place in its owner's window, which its children need. It can't wait for ever: each child ends by itself, by
its own attempts and limits, and one whose row has expired counts as ended.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import msgspec

from chalicelib import services, settings
from chalicelib.aws.queues import Queues
from chalicelib.errors import EmptyFile, NotFound, NothingRead, RetryAfter, TooManyRequests
from chalicelib.ingest.archives import LeftOut
from chalicelib.ingest.codetrees import ArchivePlan, PlannedDocument, plan
from chalicelib.ingest.confinement import Limits
from chalicelib.ingest.extraction import limits_of
from chalicelib.ingest.sandbox import run_sandboxed
from chalicelib.jobs.batches import Batch, Batches
from chalicelib.jobs.fairness import Window
from chalicelib.jobs.idempotency import derived_id
from chalicelib.jobs.job import Job, now_ms
from chalicelib.jobs.run import Publication, Run
from chalicelib.jobs.search import lifetime
from chalicelib.jobs.states import TERMINAL, Stage, State
from chalicelib.jobs.store import JobStore
from chalicelib.jobs.submission import Submission, Wishes

_NOWHERE: Final[Mapping[str, str]] = MappingProxyType({})
# Between two looks: a tenth of the time that the children have had, within these bounds, in seconds.
_SHORTEST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 30.0
# A row holds 400 KB; a result of more than this says less of each document.
_MAX_RESULT_BYTES: Final = 200 * 1024
_SHORT_NAME: Final = 60


class _Child(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """One document's job."""

    job_id: str
    # The document's path in the archive.
    filename: str


class _Family(msgspec.Struct, frozen=True, kw_only=True, tag="archive"):
    """What a job that has split its archive remembers: its checkpoint."""

    filename: str
    children: list[_Child]
    skipped: list[LeftOut]
    # Where the archive came from: becomes part of the result.
    origin: dict[str, str]
    # When all children had been made, in ms since the epoch.
    made_at: int


def ingest_archive(
    run: Run,
    path: Path,
    *,
    filename: str = "",
    password: str | None = None,
    origin: Mapping[str, str] = _NOWHERE,
    queues: Queues | None = None,
) -> None:
    """Split the archive at `path` into jobs, then wait for them: always raises RetryAfter, or what is wrong.

    Raise what `archives.unpack` raises, and EmptyFile where nothing in it can be read.
    """
    filename = filename or run.job.filename
    planned = _planned(run, path, filename, password)
    if not planned.documents:
        raise _nothing(planned)
    family = _Family(
        filename=filename,
        children=_submitted(run, planned.documents, password, queues or services.queues()),
        skipped=list(planned.left_out),
        origin=dict(origin),
        made_at=now_ms(),
    )
    run.checkpoint.save(msgspec.json.encode(family))
    _gather(run, family, queues or services.queues())


def go_on(run: Run, *, queues: Queues | None = None) -> bool:
    """Look how the children are, if an earlier run of this job has split an archive; False: none has.

    For the start of a task, before it fetches its file again. Raise RetryAfter while children are at work, or
    NothingRead when all of them failed; else the result is published.
    """
    saved = run.checkpoint.load()
    if saved is None:
        return False
    try:
        family = msgspec.json.decode(saved, type=_Family)
    except msgspec.DecodeError:
        return False  # another reader's
    _gather(run, family, queues or services.queues())
    return True


# --- Splitting -------------------------------------------------------------------------------------------------


def _planned(run: Run, path: Path, filename: str, password: str | None) -> ArchivePlan:
    run.progress(Stage.DECODING, "Unpacking the archive")
    folder = run.folder / "members"
    folder.mkdir()
    limits = limits_of(settings.get())
    return run_sandboxed(
        plan,
        str(path),
        str(folder),
        filename,
        password,
        result_type=ArchivePlan,
        limits=Limits(memory_bytes=limits.memory_bytes, seconds=limits.seconds),
        on_progress=lambda done, total, text: run.progress(
            Stage.DECODING, f"Unpacking: {text}", share=done / total / 2 if total else 0.0
        ),
    )


def _submitted(
    run: Run, documents: Sequence[PlannedDocument], password: str | None, queues: Queues
) -> list[_Child]:
    """Make those of the documents' jobs that are not there yet. Their batch's row comes first: it is what cancels."""
    job, store = run.job, JobStore(run.table)
    children = [
        _Child(job_id=_child_id(store, job, place), filename=document.filename)
        for place, document in enumerate(documents)
    ]
    Batches(run.table, job.owner).save(
        Batch(
            batch_id=job.job_id,
            owner=job.owner,
            job_ids=[child.job_id for child in children],
            created_at=job.created_at,
            expires_at=lifetime(now_ms()),
        )
    )
    wishes = Wishes(password=password, force=bool(job.params.get("force")), batch_id=job.job_id)
    for place, (child, document) in enumerate(zip(children, documents, strict=True)):
        run.progress(
            Stage.DECODING,
            f"Passing on file {place + 1} of {len(documents)}",
            share=0.5 + place / len(documents) / 2,
        )
        to = Submission(run.table, queues, run.objects, owner=job.owner, ids=partial(str, child.job_id))
        try:
            to.file(document.filename, run.folder / "members" / document.file, document.content, wishes)
        except TooManyRequests as full:
            # Those that wait go on without us: no reason to spend attempts.
            _step_aside(run, queues)
            raise RetryAfter(full.message, full.details["retry_after"]) from None
    return children


def _child_id(store: JobStore, job: Job, place: int) -> str:
    """Return the id of the job of the archive's document number `place`.

    Each time that the archive's job is started over, children that had failed or were cancelled get successors; the
    others are taken as they are.
    """
    for life in range(job.retries):
        earlier = store.find(derived_id(job.job_id, f"{life}/{place}"))
        if earlier is not None and earlier.state not in (State.FAILURE, State.REVOKED):
            return earlier.job_id
    return derived_id(job.job_id, f"{job.retries}/{place}")


def _nothing(planned: ArchivePlan) -> EmptyFile:
    if not planned.left_out:
        return EmptyFile("There are no files in the archive.")
    first = planned.left_out[0]
    return EmptyFile(
        f"Nothing in the archive can be read ({len(planned.left_out):,} files or folders were left out). "
        f"{first.filename}: {first.reason}"
    )


# --- Waiting ---------------------------------------------------------------------------------------------------


def _gather(run: Run, family: _Family, queues: Queues) -> None:
    """Publish the result when all children have ended; else raise RetryAfter."""
    # Consistent: a row that was made a moment ago and is not seen would count as expired.
    rows = JobStore(run.table).find_many([child.job_id for child in family.children], consistent=True)
    jobs = [rows.get(child.job_id) for child in family.children]
    at_work = [job for job in jobs if job is not None and job.state not in TERMINAL]
    if at_work:
        _wait(run, family, at_work, queues)
    result = _result(family, jobs)
    if not result["documents"]:
        first = result["errors"][0]
        raise NothingRead(
            f"None of the {len(jobs):,} files in the archive could be read. "
            f"{first['filename']}: {first['error']['message']}",
            files=len(jobs),
            cause=first["error"]["type"],
        )
    run.publish(lambda: Publication(result=_fitting(result), warnings=_warnings(result)))


def _wait(run: Run, family: _Family, at_work: Sequence[Job], queues: Queues) -> None:
    count = len(family.children)
    done = count - len(at_work)
    share = (done + sum(job.percent for job in at_work) / 100) / count
    said = f"{done:,} of {count:,} files are done"
    run.progress(Stage.READING_FILES, said, share=share)
    _step_aside(run, queues)
    waited = (now_ms() - family.made_at) / 1000
    raise RetryAfter(said, min(_LONGEST_PAUSE, max(_SHORTEST_PAUSE, waited / 10)), percent=run.percent)


def _step_aside(run: Run, queues: Queues) -> None:
    """Leave the owner's window: a job that waits for others must not stand in their way.

    Archives alone could fill the window, and then no file of theirs would ever come to its turn.
    """
    Window(run.table, queues, run.job.owner).leave(run.job.job_id)


def _result(family: _Family, jobs: Sequence[Job | None]) -> dict[str, Any]:
    documents, errors = [], []
    for child, job in zip(family.children, jobs, strict=True):
        named = {"filename": child.filename, "job_id": child.job_id}
        if job is not None and job.state is State.SUCCESS:
            documents.append({**named, **_told(job.result or {})})
        else:
            errors.append({**named, "error": _error_of(job)})
    skipped = [msgspec.to_builtins(entry) for entry in family.skipped]
    return {
        "filename": family.filename,
        "documents": documents,
        "errors": errors,
        "skipped": skipped,
        **family.origin,
    }


def _told(result: dict[str, Any]) -> dict[str, Any]:
    """Return what an archive's result says of a document."""
    return {key: result[key] for key in ("doc_id", "title", "source_type", "duplicate_of") if key in result}


def _error_of(job: Job | None) -> dict[str, Any]:
    if job is None:
        return NotFound("The file's job has expired.").as_dict()
    if job.error is None or job.state is State.REVOKED:
        return {"type": "cancelled", "message": "The file's job was cancelled.", "retryable": False}
    return {key: job.error[key] for key in ("type", "message", "retryable") if key in job.error}


def _fitting(result: dict[str, Any]) -> dict[str, Any]:
    """Return a result that a row can hold: titles, then long names, then most of what was left out, are dropped."""
    if _size(result) <= _MAX_RESULT_BYTES:
        return result
    short = {**result}
    for key in ("documents", "errors", "skipped"):
        short[key] = [
            {
                **{name: value for name, value in entry.items() if name != "title"},
                "filename": entry["filename"][-_SHORT_NAME:],
            }
            for entry in result[key]
        ]
    if _size(short) > _MAX_RESULT_BYTES:
        short["skipped"], short["skipped_in_all"] = short["skipped"][:20], len(result["skipped"])
    return short


def _size(result: dict[str, Any]) -> int:
    return len(msgspec.json.encode(result))


def _warnings(result: dict[str, Any]) -> list[str]:
    """Return a sentence for what became no document."""
    found = []
    if result["errors"]:
        found.append(f"{len(result['errors'])} of the archive's files could not be read.")
    if result["skipped"]:
        found.append(f"{len(result['skipped'])} of the archive's files or folders were left out.")
    return found
