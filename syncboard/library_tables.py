"""What the library's commands print: tables for people."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from rich.console import Console
from rich.markup import escape
from rich.text import Text

from syncboard.tables import local_time, show

_CONCEPTS: Final = 5
_SHARES: Final = 8
_BAR: Final = 24
_SHOWN: Final = 300


def as_json(value: Any) -> str:
    """Return a value as JSON for people."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def show_documents(console: Console, documents: Iterable[Mapping[str, Any]]) -> None:
    """Print one line a document."""
    rows = (
        (
            one["doc_id"],
            title(one),
            one["source_type"],
            one["cluster_name"],
            one["words"],
            local_time(one["created_at"]),
        )
        for one in documents
    )
    show(console, "", ("document", "title", "type", "cluster", "words", "added"), rows)


def show_document(console: Console, told: Mapping[str, Any]) -> None:
    """Print what is known of a document, without its text."""
    show_documents(console, [told])
    facts = {
        "file": told["filename"],
        "level": told["skill_level"],
        "concepts": concepts(told["concepts"], 10),
        "warnings": "; ".join(told["warnings"]),
        "merged": ", ".join(one["title"] or one["filename"] for one in told["merged"]),
    }
    for name, value in facts.items():
        if value:
            console.print(f"{name:<9} {escape(str(value))}")
    alike = [(one["doc_id"], one["title"], percent(one["similarity"])) for one in told["near_duplicates"]]
    if alike:
        show(console, "Near duplicates", ("document", "title", "alike"), alike)


def show_hits(console: Console, q: str, hits: Sequence[Mapping[str, Any]]) -> None:
    """Print documents that were found, each with its snippet, the words asked for in bold."""
    if not hits:
        console.print(f"Nothing was found for {escape(q)}.")
    for hit in hits:
        console.print(
            Text(title(hit), style="bold"), Text(f"  {hit['doc_id']}  {hit['source_type']}", style="dim")
        )
        if hit["snippet"]:
            console.print(snippet(hit))
        for passage in hit["passages"]:
            console.print(Text(f"  {clock(passage['start'])}  {passage['text']}"))
        console.print()


def snippet(hit: Mapping[str, Any]) -> Text:
    """Return a hit's snippet with the words asked for in bold."""
    text = Text(hit["snippet"])
    for start, end in hit["marks"]:
        text.stylize("bold yellow", start, end)
    return text


def show_clusters(console: Console, clusters: Iterable[Mapping[str, Any]]) -> None:
    """Print one line a cluster."""
    rows = (
        (one["cluster_id"], one["name"], one["size"], concepts(one["concepts"], _CONCEPTS))
        for one in clusters
    )
    show(console, "", ("cluster", "name", "documents", "what"), rows)


def show_groups(console: Console, groups: Sequence[Mapping[str, Any]]) -> None:
    """Print one line a document, group by group."""
    if not groups:
        console.print("No documents are that much alike.")
        return
    rows = [
        (percent(group["similarity"]) if place == 0 else "", one["doc_id"], title(one), one["filename"])
        for group in groups
        for place, one in enumerate(group["documents"])
    ]
    show(console, "", ("alike", "document", "title", "file"), rows)


def show_comparison(console: Console, found: Mapping[str, Any]) -> None:
    """Print how alike two documents are, and the passages that both have."""
    console.print(f"{percent(found['similarity'])} alike ({found['kind'] or 'not very much'})")
    for side in ("a", "b"):
        share = percent(found["contained"][side])
        console.print(
            f"  {share} of {escape(title(found[side]))} ({escape(found[side]['filename'])}) is in the other"
        )
    rows = ((one["words"], " ".join(one["a"]["text"].split())[:_SHOWN]) for one in found["passages"])
    show(console, "In common", ("words", "what"), rows)


def show_suggestions(console: Console, result: Mapping[str, Any]) -> None:
    """Print suggestions with their evidence, or why there are none."""
    for place, one in enumerate(result["suggestions"], start=1):
        console.print(Text(f"{place}. {one['title']}", style="bold"))
        console.print(escape(one["description"]))
        coverage = percent(one["coverage_score"])
        console.print(
            f"   {one['feasibility']} feasibility, {one['effort_estimate']}, {one['complexity_level']}, "
            f"{coverage} of it is in the library"
        )
        for line in evidence_lines(one):
            console.print(f"   {escape(line)}")
        if one["missing_knowledge"]:
            console.print(f"   missing: {escape(', '.join(one['missing_knowledge']))}")
        console.print()
    for line in (*result["reasons"], *result["next_steps"]):
        console.print(escape(line))


def evidence_lines(suggestion: Mapping[str, Any]) -> list[str]:
    """Return what speaks for a suggestion: a line a document, with its concepts."""
    by_document: dict[str, list[str]] = defaultdict(list)
    titles: dict[str, str] = {}
    for entry in suggestion["evidence"]:
        by_document[entry["doc_id"]].append(entry["concept"])
        titles[entry["doc_id"]] = entry.get("title") or entry["doc_id"]
    return [f"“{titles[doc_id]}”: {', '.join(names)}" for doc_id, names in by_document.items()]


def show_analytics(console: Console, told: Mapping[str, Any]) -> None:
    """Print a library's figures."""
    overview = told["overview"]
    if told["as_of"] is None:
        console.print("Nothing was counted yet; the figures are being made now: ask again in some seconds.")
        return
    console.print(
        f"As of {local_time(told['as_of'])}{', newer ones are being made' if told['refreshing'] else ''}"
    )
    console.print(
        f"{overview['total_documents']} documents, {overview['total_clusters']} clusters, "
        f"{overview['total_concepts']} concepts; {overview['documents_in_period']} documents in "
        f"{told['time_period']}, {overview['documents_today']} today"
    )
    shares = told["distributions"]
    clusters = {one["name"] or one["cluster_id"]: one["documents"] for one in shares["clusters"]}
    concepts = {one["name"]: one["documents"] for one in told["top_concepts"]}
    tables = {
        "Clusters": clusters,
        "Types": shares["source_types"],
        "Levels": shares["skill_levels"],
        "Concepts": concepts,
        "Days": {one["date"]: one["documents"] for one in told["time_series"] if one["documents"]},
    }
    for name, counts in tables.items():
        if counts:
            ranked = list(counts.items())[-_SHARES:] if name == "Days" else list(counts.items())[:_SHARES]
            show(console, name, ("what", "documents", ""), bars(ranked))
    done = told["processing"]
    console.print(
        f"Jobs: {done['jobs']}, {done['succeeded']} succeeded, {done['failed']} failed; "
        f"median {done['seconds_median']:.1f} s, longest {done['seconds_longest']:.1f} s, ${done['dollars']:.6f}"
    )


def bars(counts: Sequence[tuple[str, int]]) -> list[tuple[str, int, str]]:
    """Return names and numbers, each with a bar."""
    most = max((number for _, number in counts), default=0) or 1
    return [(name, number, "█" * max(1, round(_BAR * number / most))) for name, number in counts]


def title(document: Mapping[str, Any]) -> str:
    """Return what to call a document."""
    return str(document["title"] or document["filename"] or document["doc_id"])


def concepts(entries: Sequence[Mapping[str, Any]], most: int) -> str:
    """Return the names of concepts, the first of them."""
    return ", ".join(str(entry["name"]) for entry in entries[:most])


def percent(share: float) -> str:
    """Return a share as per cent."""
    return f"{share * 100:.0f} %"


def clock(seconds: float) -> str:
    """Return a time within a recording, as 1:02:03 or 2:03."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
