"""`process_file_upload`: a file becomes a document with text, concepts and a cluster."""

from __future__ import annotations

import msgspec

from chalicelib.ingest.content import ContentType
from chalicelib.jobs.run import Run
from chalicelib.jobs.states import Stage
from chalicelib.tasks import archive
from chalicelib.tasks.ingestion import ingest


def process_file_upload(run: Run) -> None:
    """Run the five stages of an ingestion; publish the document and SUCCESS together."""
    if archive.go_on(run):
        return
    run.progress(Stage.DECODING, "Fetching the file")
    params = run.job.params
    path = run.folder / "source"
    run.objects.download(params["source"], path, version=params.get("version"))
    content = msgspec.convert(params["content"], ContentType)
    ingest(run, path, content, password=run.job.password or None)
