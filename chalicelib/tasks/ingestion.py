"""What every ingestion has in common: a file's text, concepts and cluster, published as a document."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Final

import msgspec

from chalicelib import capabilities, settings
from chalicelib.capabilities import CapabilityState
from chalicelib.errors import EmptyFile, HandOver, TransientError
from chalicelib.ingest.content import ContentType
from chalicelib.ingest.document import Extracted
from chalicelib.ingest.extraction import limits_of, no_text, read, source_of
from chalicelib.ingest.filename import stem
from chalicelib.ingest.formats import SCANS, UPLOADS, format_for
from chalicelib.ingest.reading import ExtractionLimits, Workplace
from chalicelib.jobs.job import Job, new_id, now_ms, segments_key, text_key
from chalicelib.jobs.run import Publication, Run
from chalicelib.jobs.states import Stage
from chalicelib.knowledge.concepts import ConceptReport
from chalicelib.knowledge.minhash import signature
from chalicelib.knowledge.searchwords import impacts
from chalicelib.knowledge.terms import term_vector
from chalicelib.library import upkeep
from chalicelib.library.assignment import Assignment
from chalicelib.library.claims import Claims, digest
from chalicelib.library.clusters import Clusters
from chalicelib.library.documents import Document, Documents, count_added, put_document
from chalicelib.library.resemblance import Resemblance
from chalicelib.library.searchindex import asks_for_tidying, fresh_row
from chalicelib.tasks.archive import ingest_archive
from chalicelib.tasks.concepts import find_concepts

_NOWHERE: Final[Mapping[str, str]] = MappingProxyType({})
# What a document's row and its job's may hold of what a file says of itself: a row has 400 KB in all.
_MAX_TITLE: Final = 500
_MAX_ENTRIES: Final = 50
_MAX_VALUE: Final = 500


def ingest(
    run: Run,
    path: Path,
    content: ContentType,
    *,
    filename: str = "",
    password: str | None = None,
    origin: Mapping[str, str] = _NOWHERE,
) -> None:
    """Make a document of the file at `path`; publish it and SUCCESS together.

    Bytes that the owner has a document of already end in SUCCESS naming it (`duplicate_of`), unless the job's
    parameter `force` is set.

    An archive becomes many documents, each by a job of its own (`tasks.archive`).

    `filename` is what to call it (the job's own by default); `origin` says where it came from (`{"url": …}`) and
    becomes part of its metadata and of the result. Raise what `read` raises, and what `Run.publish` raises.
    """
    _route(run, content)
    if content.kind == "zip":
        ingest_archive(run, path, filename=filename, password=password, origin=origin)
        return
    filename = filename or run.job.filename
    claims = Claims(run.table, run.job.owner, run.job.job_id)
    sha256 = None if run.job.params.get("force") else digest(path)
    doc_id = new_id()
    while sha256 and (known := claims.claim(sha256, doc_id)):
        if document := Documents(run.table, run.job.owner).find(known):
            _publish_duplicate(run, document)
            return  # else it was deleted this moment, and the bytes are to be had
    extracted = _described(run, path, content, filename=filename, password=password)
    publish_document(run, extracted, filename=filename, doc_id=doc_id, sha256=sha256, origin=origin)


def _described(
    run: Run, path: Path, content: ContentType, *, filename: str, password: str | None
) -> Extracted:
    """Return what the file says, after what its owner says of it; a picture without text has the latter alone."""
    description = str(run.job.params.get("description", ""))
    try:
        extracted = _read(run, path, content, filename=filename, password=password)
    except EmptyFile:
        if not description:
            raise
        extracted = Extracted(text="", title=stem(filename), source_type=content.kind)
    if not description:
        return extracted
    text = f"{description}\n\n{extracted.text}".strip()
    return msgspec.structs.replace(
        extracted, text=text, metadata={**extracted.metadata, "description": description[:500]}
    )


def _route(run: Run, content: ContentType) -> None:
    """Raise HandOver where another queue's function reads such files."""
    row = format_for(content.kind)
    if row.queue not in (UPLOADS, run.job.queue):
        raise HandOver(f"This is {row.label}: on to where it can be read", queue=row.queue)


def _read(run: Run, path: Path, content: ContentType, *, filename: str, password: str | None) -> Extracted:
    """Return what the file says. Raise HandOver where text recognition would find more, or the time is over."""
    run.progress(Stage.EXTRACTING_TEXT, "Extracting text")
    limits = limits_of(settings.get())
    source = source_of(path, content=content, filename=filename, password=password, limits=limits)
    scans = run.job.queue == SCANS
    extracted = read(source, workplace(run, limits), scans=scans)
    pages = len(extracted.pages_without_text)
    if pages and not scans and _recognised(run):
        counted = "1 page" if pages == 1 else f"{pages:,} pages"
        raise HandOver(f"A scan ({counted} without text): waiting for text recognition", queue=SCANS)
    if extracted.blank:
        raise no_text(extracted)
    return extracted


def workplace(run: Run, limits: ExtractionLimits) -> Workplace:
    """Return where a reader works for `run`."""
    return Workplace(
        folder=run.folder,
        limits=limits,
        on_progress=lambda done, total, text: run.progress(
            Stage.EXTRACTING_TEXT, text, share=done / total if total else 0.0
        ),
        checkpoint=run.checkpoint,
        seconds_left=run.seconds_left,
    )


def _recognised(run: Run) -> bool:
    """Tell whether text recognition is to be had: yes, unless this installation has said that it is not."""
    ocr = capabilities.find(run.table, "ocr")
    return ocr is None or ocr.state is not CapabilityState.UNAVAILABLE


def publish_document(
    run: Run,
    extracted: Extracted,
    *,
    filename: str,
    doc_id: str = "",
    sha256: str | None = None,
    origin: Mapping[str, str] = _NOWHERE,
) -> None:
    """Find concepts and a cluster for what was read; publish the document and SUCCESS together.

    `sha256` are bytes that this run has claimed for `doc_id` (a new one by default). Raise what `Run.publish` raises.
    """
    extracted = _fitting(extracted, origin)
    run.progress(Stage.AI_ANALYSIS, "Running AI concept extraction…")
    report, warnings = find_concepts(run, extracted)
    extracted = msgspec.structs.replace(extracted, warnings=(*extracted.warnings, *warnings))
    vector = term_vector(extracted.text)

    run.progress(Stage.CLUSTERING, "Finding its cluster")
    draft = _draft(run.job, doc_id or new_id(), filename, extracted, report, sha256=sha256 or "")
    words = impacts(extracted.text, (extracted.title or "", filename))
    resemblance = Resemblance(run.table, run.job.owner, draft)
    assignment = Assignment(run.table, run.job.owner)
    names = [concept.name for concept in report.concepts]

    run.progress(Stage.SAVING, "Saving the document")
    # Invisible until published: no row names this key yet.
    draft = msgspec.structs.replace(draft, text_key=run.keep_small(draft.text_key, extracted.text.encode()))
    if extracted.segments:
        run.keep(draft.segments_key, msgspec.json.encode(extracted.segments))

    def build() -> Publication:
        near = resemblance.look()
        choice = assignment.choose(vector, names, beside=near.clusters)
        document = msgspec.structs.replace(draft, cluster_id=choice.after.cluster_id)
        return Publication(
            result={**_result(document, choice.after.name), "near_duplicates": near.found, **origin},
            writes=[
                put_document(run.job.owner, document),
                assignment.clusters.save(choice.before, choice.after),
                count_added(run.job.owner),
                fresh_row(run.job.owner, document.doc_id, words),
                *near.writes,
            ],
            warnings=extracted.warnings,
        )

    with resemblance.until_published(gone=run.entrust()):
        resemblance.register()
        run.publish(build)
    assignment.follow_up()
    if asks_for_tidying(draft.doc_id) or resemblance.open:
        upkeep.request(run.table, run.job.owner)


def _fitting(extracted: Extracted, origin: Mapping[str, str]) -> Extracted:
    """Return what was read with where it came from, cut to what rows hold."""
    said = {
        name[:_MAX_VALUE]: value[:_MAX_VALUE]
        for name, value in islice(extracted.metadata.items(), _MAX_ENTRIES)
    }
    return msgspec.structs.replace(
        extracted,
        title=(extracted.title or "")[:_MAX_TITLE],
        metadata={**said, **origin},
        warnings=tuple(warning[:_MAX_VALUE] for warning in extracted.warnings[:_MAX_ENTRIES]),
    )


def _publish_duplicate(run: Run, document: Document) -> None:
    """End in SUCCESS with the document that these bytes became before; nothing new is published.

    The file goes: nobody needs it any more, and when that document is deleted no copy of it may be left.
    """
    names = Clusters(run.table, run.job.owner).names({document.cluster_id})
    result = {**_result(document, names.get(document.cluster_id, "")), "duplicate_of": document.doc_id}
    run.publish(lambda: Publication(result=result))
    source = str(run.job.params.get("source", ""))
    if run.job.job_id in source:
        with suppress(TransientError):  # then the bucket's own rule takes it
            run.objects.delete(source)


def _draft(
    job: Job, doc_id: str, filename: str, extracted: Extracted, report: ConceptReport, *, sha256: str
) -> Document:
    """Return the document without its cluster, which is chosen at the last moment."""
    likeness = signature(extracted.text)
    return Document(
        doc_id=doc_id,
        job_id=job.job_id,
        title=extracted.title,
        filename=filename,
        source_type=extracted.source_type,
        language=extracted.language or "",
        concepts=[msgspec.to_builtins(concept) for concept in report.concepts],
        primary_topic=report.primary_topic,
        skill_level=report.skill_level,
        method=report.method,
        cluster_id="",
        text_key=text_key(job, doc_id),
        segments_key=segments_key(job, doc_id) if extracted.segments else "",
        characters=len(extracted.text),
        words=len(extracted.text.split()),
        pages=extracted.pages or 0,
        metadata=extracted.metadata,
        warnings=list(extracted.warnings),
        sha256=sha256,
        signature=likeness.pack() if likeness else b"",
        created_at=now_ms(),
    )


def _result(document: Document, cluster_name: str) -> dict[str, object]:
    return {
        "doc_id": document.doc_id,
        "cluster_id": document.cluster_id,
        "cluster_name": cluster_name,
        "concepts": document.concepts,
        "filename": document.filename,
        "title": document.title,
        "source_type": document.source_type,
        "primary_topic": document.primary_topic,
        "skill_level": document.skill_level,
        "method": document.method,
        "words": document.words,
        "pages": document.pages,
    }
