"""Documents: rows under their owner's partition, texts in the bucket."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from chalicelib.aws.expressions import Item, Key, Put, Update
from chalicelib.aws.objects import Objects
from chalicelib.aws.table import Table
from chalicelib.errors import NotFound, UploadMissing
from chalicelib.jobs.job import is_id


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """One document of a library."""

    # Sortable id (ULID): newer documents sort after older ones.
    doc_id: str
    # The job that published it.
    job_id: str
    title: str
    filename: str
    # pdf, text, markdown, code, …
    source_type: str
    # Programming language of code, else empty.
    language: str = ""
    concepts: list[dict[str, Any]] = []
    primary_topic: str = ""
    skill_level: str = ""
    # How the concepts were found: offline or bedrock.
    method: str = ""
    cluster_id: str
    # Where its text is, and how long it is in characters and words.
    text_key: str
    characters: int
    words: int
    # Where its timed passages are, for a transcript.
    segments_key: str = ""
    # Pages of a paged document, else 0.
    pages: int = 0
    # Author, date and the like, as the file says.
    metadata: dict[str, str] = {}
    warnings: list[str] = []
    # SHA-256 of its file, where its bytes were claimed.
    sha256: str = ""
    # What near duplicates are found by: `knowledge.minhash.Signature`, packed; empty for a text too short.
    signature: bytes = b""
    # The duplicates that were merged into it: id, title and file name of each.
    merged: list[dict[str, str]] = []
    # Milliseconds since the epoch.
    created_at: int


# What may be left out; but for `merged`, which a deletion compares.
_OPTIONAL: Final = frozenset(
    field.name for field in msgspec.structs.fields(Document) if not field.required and field.name != "merged"
)
# What stands in the key of a text for ids that the row has anyway.
_IDS: Final = {"{job}": "job_id", "{doc}": "doc_id"}


def concept_names(document: Document) -> list[str]:
    """Return the names of a document's concepts, as its cluster counts them."""
    return [str(concept["name"]) for concept in document.concepts]


def partition(owner: str) -> str:
    """Return the key of an owner's partition."""
    return f"LIB#{owner}"


def document_key(owner: str, doc_id: str) -> Key:
    """Return the key of a document's row."""
    return (partition(owner), f"DOC#{doc_id}")


def cluster_mark(owner: str, cluster_id: str) -> str:
    """Return the partition of the index `by_cluster`: a cluster's documents."""
    return f"{owner}#{cluster_id}"


def put_document(owner: str, document: Document) -> Put:
    """Build the write that publishes a document; refused if its id is taken."""
    pk, sk = document_key(owner, document.doc_id)
    mark = cluster_mark(owner, document.cluster_id)
    return Put(item={"pk": pk, "sk": sk, **_to_fields(document), "cluster": mark}, new=True)


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """How many documents an owner has, and has deleted since the library was last empty."""

    documents: int = 0
    removed: int = 0


def counts_key(owner: str) -> Key:
    """Return the key of an owner's counts."""
    return (partition(owner), "COUNTS")


def count_added(owner: str) -> Update:
    """Build the write that counts a document which comes."""
    return Update(key=counts_key(owner), add={"documents": 1})


def count_removed(owner: str) -> Update:
    """Build the write that counts a document which goes."""
    return Update(key=counts_key(owner), add={"documents": -1, "removed": 1})


class DocumentPage(msgspec.Struct, frozen=True, kw_only=True):
    """One page of a library, newest first."""

    documents: list[Document]
    # Id of the last document when more follow.
    last: str | None


class Documents:
    """The published documents of one owner."""

    def __init__(self, table: Table, owner: str) -> None:
        self.table = table
        self.owner = owner

    def find(self, doc_id: str) -> Document | None:
        """Return a document, or None."""
        # A key of DynamoDB has a limit; what is no id of ours is not looked up.
        item = self.table.get(document_key(self.owner, doc_id)) if is_id(doc_id) else None
        return _from_item(item) if item else None

    def require(self, doc_id: str) -> Document:
        """Return a document; raise NotFound."""
        document = self.find(doc_id)
        if document is None:
            raise NotFound("There is no such document.", doc_id=doc_id)
        return document

    def text(self, document: Document, objects: Objects, *, first: int | None = None) -> bytes:
        """Return a document's text, or its first bytes; raise NotFound where it was deleted since it was read."""
        try:
            return objects.get(document.text_key, first=first)
        except UploadMissing:
            self.require(document.doc_id)
            raise

    def find_many(self, doc_ids: Iterable[str]) -> dict[str, Document]:
        """Return those of many documents that are published, by id."""
        rows = self.table.get_many([document_key(self.owner, doc_id) for doc_id in dict.fromkeys(doc_ids)])
        documents = map(_from_item, rows.values())
        return {document.doc_id: document for document in documents}

    def page(self, *, limit: int, after: str | None = None) -> DocumentPage:
        """Return documents, newest first, after the document `after`."""
        start: Item | None = None
        if after:
            start = dict(zip(("pk", "sk"), document_key(self.owner, after), strict=True))
        page = self.table.query(
            ("pk", partition(self.owner)),
            sort=("sk", "begins_with", "DOC#"),
            limit=limit,
            forward=False,
            start=start,
        )
        documents = [_from_item(item) for item in page.items]
        return DocumentPage(
            documents=documents, last=documents[-1].doc_id if page.next_key and documents else None
        )

    def of_cluster(self, cluster_id: str, *, limit: int, after: str | None = None) -> DocumentPage:
        """Return a cluster's documents, newest first, after the document `after`.

        Costs what the page holds. The index may be a moment behind the rows: what has left meanwhile is left out,
        what has just come may be missing.
        """
        mark = cluster_mark(self.owner, cluster_id)
        start: Item | None = None
        if after:
            pk, sk = document_key(self.owner, after)
            start = {"pk": pk, "sk": sk, "cluster": mark, "doc_id": after}
        page = self.table.query(
            ("cluster", mark), index="by_cluster", limit=limit, forward=False, start=start
        )
        doc_ids = [item["doc_id"] for item in page.items]
        there = self.find_many(doc_ids) if doc_ids else {}
        documents = [there[doc_id] for doc_id in doc_ids if doc_id in there]
        return DocumentPage(
            documents=[document for document in documents if document.cluster_id == cluster_id],
            last=doc_ids[-1] if page.next_key and doc_ids else None,
        )

    def count(self) -> int:
        """Return how many documents there are."""
        return self.counts().documents

    def counts(self) -> Counts:
        """Return how many documents there are and were deleted."""
        return msgspec.convert(self.table.get(counts_key(self.owner)) or {}, Counts)


def _to_fields(document: Document) -> dict[str, Any]:
    """Return a document's attributes. Each KB costs, twice in a transaction: what says nothing is left out."""
    # Bytes stay bytes: DynamoDB has them, JSON has not.
    fields = {
        name: value
        for name, value in msgspec.to_builtins(document, builtin_types=(bytes,)).items()
        if value or name not in _OPTIONAL
    }
    if document.concepts:
        fields["concepts"] = zlib.compress(msgspec.json.encode(document.concepts), 9)
    for mark, name in _IDS.items():
        fields["text_key"] = fields["text_key"].replace(fields[name], mark)
    return fields


def _from_item(item: Item) -> Document:
    fields = {name: value for name, value in item.items() if name not in ("pk", "sk", "cluster")}
    if isinstance(packed := fields.get("concepts"), bytes):
        fields["concepts"] = msgspec.json.decode(zlib.decompress(packed))
    for mark, name in _IDS.items():
        fields["text_key"] = fields["text_key"].replace(mark, fields[name])
    return msgspec.convert(fields, Document)
