"""`process_file_upload`: a file becomes a document with text, concepts and a cluster."""

from __future__ import annotations

import msgspec

from chalicelib.errors import EmptyFile
from chalicelib.ingest.content import ContentType
from chalicelib.ingest.document import Extracted
from chalicelib.ingest.extraction import extract
from chalicelib.jobs.job import new_id, now_ms, text_key
from chalicelib.jobs.run import Publication, Run
from chalicelib.jobs.states import Stage
from chalicelib.knowledge.clusters import founded, joined, nearest
from chalicelib.knowledge.concepts import ConceptReport, extract_concepts
from chalicelib.knowledge.terms import term_vector
from chalicelib.library.clusters import Clusters
from chalicelib.library.documents import Document, count_documents, put_document


def process_file_upload(run: Run) -> None:
    """Run the five stages of an ingestion; publish the document and SUCCESS together."""
    run.progress(Stage.DECODING, "Fetching the file")
    params = run.job.params
    path = run.folder / "source"
    run.objects.download(params["source"], path, version=params.get("version"))

    run.progress(Stage.EXTRACTING_TEXT, "Extracting text")
    extracted = extract(
        path,
        content=msgspec.convert(params["content"], ContentType),
        filename=run.job.filename,
        password=params.get("password"),
        on_progress=lambda done, total, text: run.progress(
            Stage.EXTRACTING_TEXT, text, share=done / total if total else 0.0
        ),
    )
    if not extracted.text.strip():
        raise EmptyFile("There is no text in this file.")

    run.progress(Stage.AI_ANALYSIS, "Running AI concept extraction…")
    report = extract_concepts(extracted.text, title=extracted.title or "", kind=extracted.source_type)
    vector = term_vector(extracted.text)

    run.progress(Stage.CLUSTERING, "Finding its cluster")
    doc_id = new_id()
    key = text_key(run.job, doc_id)
    clusters = Clusters(run.table, run.job.owner)
    names = [concept.name for concept in report.concepts]

    run.progress(Stage.SAVING, "Saving the document")
    # Invisible until published: no row names this key yet.
    run.keep(key, extracted.text)

    def build() -> Publication:
        before = nearest(vector, clusters.all())
        after = joined(before, vector, names) if before else founded(new_id(), vector, names)
        document = _document(run, doc_id, key, extracted, report, after.cluster_id)
        return Publication(
            result=_result(document, after.name),
            writes=[
                put_document(run.job.owner, document),
                clusters.save(before, after),
                count_documents(run.job.owner, 1),
            ],
            warnings=extracted.warnings,
        )

    run.publish(build)


def _document(
    run: Run, doc_id: str, key: str, extracted: Extracted, report: ConceptReport, cluster_id: str
) -> Document:
    return Document(
        doc_id=doc_id,
        job_id=run.job.job_id,
        title=extracted.title or run.job.filename,
        filename=run.job.filename,
        source_type=extracted.source_type,
        language=extracted.language or "",
        concepts=[msgspec.to_builtins(concept) for concept in report.concepts],
        primary_topic=report.primary_topic,
        skill_level=report.skill_level,
        method=report.method,
        cluster_id=cluster_id,
        text_key=key,
        characters=len(extracted.text),
        words=len(extracted.text.split()),
        pages=extracted.pages or 0,
        metadata=extracted.metadata,
        warnings=list(extracted.warnings),
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
