"""A document's concepts for a run: by the model where one is configured, else, and whenever it fails, offline."""

from __future__ import annotations

from typing import NamedTuple

from chalicelib import settings
from chalicelib.errors import ModelBusy, ModelRefused, ModelUnclear
from chalicelib.ingest.document import Extracted
from chalicelib.jobs.run import Run
from chalicelib.knowledge import model_concepts
from chalicelib.knowledge.concepts import ConceptReport, extract_concepts
from chalicelib.tasks.model import Model, is_configured, warning


class FoundConcepts(NamedTuple):
    """What a document is about, and what its owner should know of how that was found."""

    report: ConceptReport
    warnings: tuple[str, ...] = ()


def find_concepts(run: Run, extracted: Extracted) -> FoundConcepts:
    """Return concepts, topic and level of what was read. Never fails for want of a model."""
    text, title, kind = extracted.text, extracted.title or "", extracted.source_type
    if not is_configured() or not text.strip():
        return FoundConcepts(extract_concepts(text, title=title, kind=kind))
    limit = settings.get().ai_input_characters
    question = model_concepts.question(text, title=title, kind=kind, characters=limit)
    try:
        report = Model(run).ask(
            question, lambda value: model_concepts.report(value, sampled=len(text) > limit)
        )
    except (ModelBusy, ModelRefused, ModelUnclear) as error:
        told = warning(error, "concepts were found offline.")
        return FoundConcepts(extract_concepts(text, title=title, kind=kind), (told,))
    return FoundConcepts(report)
