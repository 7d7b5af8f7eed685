"""`generate_build_suggestions`: what its owner could build with what the library holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from chalicelib import settings
from chalicelib.errors import ModelBusy, ModelRefused, ModelUnclear
from chalicelib.jobs.run import Publication, Run
from chalicelib.jobs.states import Stage
from chalicelib.knowledge.clusters import Centroid
from chalicelib.knowledge.model_suggestions import METHOD, ModelSuggestions
from chalicelib.knowledge.suggestions import MIN_DOCUMENTS, Reading, suggest
from chalicelib.library.clusters import Clusters
from chalicelib.library.documents import Document, Documents
from chalicelib.tasks.model import Model, is_configured, warning
from chalicelib.tasks.suggestion_count import DEFAULT_SUGGESTIONS, checked_number

# Documents that suggestions are made from: the newest, read in pages.
_MAX_DOCUMENTS: Final = 400
_PAGE: Final = 100


def generate_build_suggestions(run: Run) -> None:
    """Read clusters and the newest documents' rows (never texts), publish suggestions.

    Takes the parameter `max_suggestions`. Raise InvalidRequest.
    """
    number = checked_number(run.job.params.get("max_suggestions", DEFAULT_SUGGESTIONS))
    owner = run.job.owner
    run.progress(Stage.EXTRACTING_TEXT, "Reading the library")
    readings = _readings(Documents(run.table, owner))
    clusters = Clusters(run.table, owner).all()
    run.progress(Stage.AI_ANALYSIS, f"Weighing {len(clusters):,} topics and {len(readings):,} documents")
    result, warnings = _suggested(run, clusters, readings, number)
    run.publish(lambda: Publication(result=result, warnings=warnings))


def _suggested(
    run: Run, clusters: Sequence[Centroid], readings: Sequence[Reading], number: int
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the result and warnings: the model's where one is configured and answers, else the offline ones."""
    result = suggest(clusters, readings, number=number)
    if not is_configured() or len(readings) < MIN_DOCUMENTS or not result["summary"]["concepts"]:
        return result, ()
    asked = ModelSuggestions(clusters, readings, number=number)
    try:
        found = Model(run).ask(asked.question(settings.get().ai_input_characters), asked.read)
    except (ModelBusy, ModelRefused, ModelUnclear) as error:
        return result, (warning(error, "suggestions were made offline."),)
    return {**result, "suggestions": found, "method": METHOD, "reasons": [], "next_steps": []}, ()


def _readings(documents: Documents) -> list[Reading]:
    found: list[Reading] = []
    after: str | None = None
    while len(found) < _MAX_DOCUMENTS:
        page = documents.page(limit=_PAGE, after=after)
        found += map(_reading, page.documents)
        after = page.last
        if after is None:
            break
    return found


def _reading(document: Document) -> Reading:
    return Reading(
        doc_id=document.doc_id,
        title=document.title or document.filename,
        cluster_id=document.cluster_id,
        level=document.skill_level,
        concepts=[(str(concept["name"]), str(concept["category"])) for concept in document.concepts],
        signature=document.signature,
    )
