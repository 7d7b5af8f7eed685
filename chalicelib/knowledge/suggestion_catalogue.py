"""Shapes of projects: authored templates that are filled with a user's own concepts.

Placeholders: `{subject}` is what most of the documents are about, `{part}` the concept that fits the shape's slot,
`{other}` a second one (of the same category, or of another cluster, or the gap that is to be closed). What a shape
takes, its prerequisites and its efforts are the authors' judgement, not measured.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

# What a shape is made from: one cluster, two that share concepts, or a gap.
Ground = Literal["cluster", "bridge", "gap"]


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of project."""

    # Name for tests and for choosing different ones.
    key: str
    ground: Ground = "cluster"
    # Categories of which the slot `{part}` takes one (see `concepts.Concept`); empty: any concept.
    part: frozenset[str] = frozenset()
    # `{other}` is a second concept of the same category as `{part}`.
    pair: bool = False
    # Something is written in `{part}`: SQL or HTML will not do.
    builds: bool = False
    # `{subject}` is a matter, not a means: no language, database or tool.
    topical: bool = False
    # The documents must be for readers of at least so many levels.
    levels: int = 1
    # Preferred over others of the same coverage: a shape that asks for more says more. 0 to 1.
    weight: float
    title: str
    description: str
    # What one must know besides; each that is no concept of the user's is missing knowledge.
    prerequisites: tuple[str, ...] = ()
    # Steps to start with, in order.
    steps: tuple[str, ...]
    # What there is in the end.
    outcomes: tuple[str, ...]
    # Working days for somebody who knows all that is required.
    days: tuple[int, int]


_BUILDING: Final = frozenset({"language", "framework", "library"})

SHAPES: Final[tuple[Shape, ...]] = (
    Shape(
        key="application",
        builds=True,
        part=_BUILDING,
        weight=0.8,
        title="{subject}: a small application with {part}",
        description="Turn what your documents say about {subject} into a working tool, written with {part}. "
        "Start with one task that you do by hand today.",
        prerequisites=("testing",),
        steps=(
            "Write down one task around {subject} in three sentences: what goes in, what comes out.",
            "Set up an empty project with {part} and make its smallest version run.",
            "Do the task for one example taken from your documents.",
            "Add a second example that breaks the first version, and repair it.",
        ),
        outcomes=("A tool that does one task around {subject}", "Practice with {part} beyond reading"),
        days=(3, 6),
    ),
    Shape(
        key="comparison",
        part=frozenset({"method", "language", "framework", "library", "database", "tool", "platform"}),
        pair=True,
        weight=0.9,
        title="{part} against {other}: a measured comparison",
        description="Your documents treat both {part} and {other}. Put the same task to both, measure, "
        "and write down when which one is the better choice.",
        prerequisites=("benchmarking",),
        steps=(
            "List what your documents claim about {part} and about {other}.",
            "Choose one task and one figure that decides it.",
            "Do the task with {part}, then with {other}, under the same conditions.",
            "Write one page: the figures, and what they do not say.",
        ),
        outcomes=("A table of figures for {part} and {other}", "A page that says when to take which"),
        days=(2, 5),
    ),
    Shape(
        key="store",
        topical=True,
        part=frozenset({"database"}),
        weight=0.6,
        title="{subject}: a searchable collection in {part}",
        description="Design tables for what you know about {subject}, fill them from your documents, "
        "and answer real questions with {part}.",
        prerequisites=("data modeling",),
        steps=(
            "Note five questions about {subject} that the collection shall answer.",
            "Sketch the tables or records that those questions need.",
            "Fill them in {part} from three of your documents.",
            "Answer the five questions and time each answer.",
        ),
        outcomes=("A collection that answers five questions", "A data model that you can explain"),
        days=(3, 6),
    ),
    Shape(
        key="exchange",
        part=frozenset({"protocol", "format"}),
        weight=0.85,
        title="A reader and writer for {part}",
        description="Read and write the part of {part} that your documents on {subject} use, "
        "and check it against what others produce.",
        prerequisites=("testing",),
        steps=(
            "Collect three real samples of {part}.",
            "Read the smallest one and print what is in it.",
            "Write it out again and compare the two.",
            "Feed it a damaged sample and decide what to say about it.",
        ),
        outcomes=("A reader and writer for {part} with samples", "A list of what it does not support"),
        days=(3, 7),
    ),
    Shape(
        key="automation",
        topical=True,
        part=frozenset({"tool", "platform"}),
        weight=0.75,
        title="{subject}: a routine automated with {part}",
        description="Choose a routine around {subject} that you repeat, and let {part} do it, "
        "with a report of what it did.",
        prerequisites=("automation",),
        steps=(
            "Do the routine once by hand and note every step.",
            "Let {part} do the first step.",
            "Add the others one by one, each with a check.",
            "Let it run for a week and read its reports.",
        ),
        outcomes=("A routine that runs on its own", "A report that shows when it failed"),
        days=(1, 4),
    ),
    Shape(
        key="case_study",
        part=frozenset({"method", "field"}),
        weight=0.7,
        title="{subject}: a case study in {part}",
        description="Take one real case of {subject} and work it through with what your documents say on {part}, "
        "from the question to a conclusion that somebody else can check.",
        prerequisites=(),
        steps=(
            "Choose one case that your documents describe well.",
            "State the question, and what would count as an answer.",
            "Work it through step by step, and keep notes of each choice.",
            "Let somebody read it who does not know the case.",
        ),
        outcomes=("A case study of five to ten pages", "A method that you have used, not only read about"),
        days=(3, 6),
    ),
    Shape(
        key="course",
        levels=2,
        weight=0.7,
        title="{subject}: a course from first steps to depth",
        description="Your documents on {subject} are for readers of several levels. Put them in order, "
        "fill the steps between, and make lessons of them.",
        prerequisites=(),
        steps=(
            "Sort your documents on {subject} by level.",
            "Write one learning goal for each of five lessons.",
            "Make the first lesson: one page, one example, one exercise.",
            "Try it on one learner and change what did not work.",
        ),
        outcomes=("Five lessons with exercises", "A tested order in which to learn {subject}"),
        days=(4, 8),
    ),
    Shape(
        key="handbook",
        weight=0.5,
        title="{subject}: a short handbook",
        description="Condense what your documents say about {subject}, {part} first of all, "
        "into a handbook that you would want to have had at the start.",
        prerequisites=(),
        steps=(
            "List the ten questions that a newcomer asks about {subject}.",
            "Answer each in a paragraph, and name the document it rests on.",
            "Mark what your documents contradict each other in.",
            "Cut it to what fits on ten pages.",
        ),
        outcomes=("A handbook of ten pages with sources", "A list of open questions"),
        days=(2, 4),
    ),
    Shape(
        key="bridge",
        ground="bridge",
        weight=0.95,
        title="Where {subject} meets {other}: a project around {part}",
        description="Two of your topics, {subject} and {other}, share {part}. A project that needs both "
        "uses more of what you know than either alone.",
        prerequisites=(),
        steps=(
            "Read one document of each topic with {part} in mind.",
            "Write down one problem of {subject} that {other} could help with.",
            "Make the smallest thing that takes something from both.",
            "Note what each side had to give up.",
        ),
        outcomes=("A prototype that joins {subject} and {other}", "Notes on what carries over"),
        days=(4, 9),
    ),
    Shape(
        key="gap",
        ground="gap",
        weight=0.85,
        title="A gap in {subject}: {other}",
        description="Many of your documents mention {other} and almost none is about it. Learn it by "
        "building something small for {subject}.",
        prerequisites=(),
        steps=(
            "Collect the passages in your documents that mention {other}.",
            "Write down what they take for granted about it.",
            "Find one good source on {other} and add it to your library.",
            "Build the smallest example of {other} that helps with {subject}.",
        ),
        outcomes=("A working example of {other}", "A document of your own about {other}"),
        days=(2, 5),
    ),
)
