"""What a public benchmark is to us: where its file lies, how one of its rows is asked, and an example of our own.

A file of `sets` makes one `Benchmark` and nothing else, so that a reader finds source, licence, prompt and scorer of a
benchmark on one page. Rows come as their publisher wrote them; none of them is kept in this repository.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from engine.core import answers
from engine.core.records import AnswerKind, Question, Which

Family = Literal["maths", "everyday reasoning", "medicine", "science", "finance", "languages"]
Row = Mapping[str, Any]
"""One row of a benchmark's file, by column."""


@dataclass(frozen=True, slots=True)
class Source:
    """One file of a benchmark, at a revision that never changes."""

    address: str
    """`hf://datasets/REPOSITORY@REVISION/FILE` or `github://REPOSITORY@REVISION/FILE`; `{revision}` where we know of
    none, which the study then has to say."""
    rows: int | None = None
    """How many the publisher says there are; None: not known."""
    sha256: str | None = None
    """Of the file, as published; None: not known, and then the first copy fetched is what later ones are held to."""


@dataclass(frozen=True, slots=True)
class Item:
    """One row, ready to be asked."""

    text: str
    target: str
    options: tuple[str, ...] = ()
    """Texts of the options, A first; drawn below the question."""
    context: str | None = None
    category: str | None = None
    reasoning: str | None = None
    """The publisher's own steps towards the answer, for worked examples."""
    kind: AnswerKind | None = None
    """Where rows differ; None: the benchmark's."""


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A public benchmark by name."""

    title: str
    family: Family
    paper: str
    """With its arXiv id, where it has one."""
    licence: str
    sources: Mapping[str, Source]
    """By subset; the first is asked unless a study names another."""
    columns: Sequence[str]
    """Columns its file must have."""
    read: Callable[[Row], Item | None]
    """A row as it is asked; None: it is left out, which the docstring of the module says."""
    example: Row
    """A row in the form of its file, of our own making: the benchmark's questions stay where they are published."""
    kind: AnswerKind | None = None
    """Of all its answers; None: guessed from the targets, as those of a file are."""
    instructions: str | None = None
    """One sentence on the form of the answer; None: the usual one of its kind."""
    statement: Which = "last"
    """Which of several answers that a reply states its authors count."""
    score: Callable[[str, Question], float] | None = None
    """How answers are judged; None: equal to the target, by value or by folded text."""
    scored: str = "equal to the target, by value where it has one"
    """The same in words."""
    keep: Callable[[Row, str], bool] | None = None
    """Whether a row is of a subset, where several share one file; None: all are."""
    head: tuple[str, ...] = ()
    """Columns of a file that has no head of its own."""
    gated: bool = False
    """Whether its publisher asks for consent first, so that fetching takes a token in HF_TOKEN."""


def shuffled(right: str, wrong: Sequence[str], key: str) -> tuple[tuple[str, ...], str]:
    """Options in an order that the question alone decides, and the letter of the right one.

    For files that give the right answer first: the same order on every machine, and no letter more often right."""
    # By hash: a seed would depend on the order in which questions are read.
    texts = sorted((right, *wrong), key=lambda text: hashlib.sha256(f"{key}\0{text}".encode()).digest())
    return tuple(texts), answers.lettered(texts.index(right))


def lettered_target(letter: object, options: Sequence[str]) -> str:
    """A letter as the publisher gives it, if it is one of an option; ValueError otherwise."""
    text = str(letter).strip().upper()
    if len(text) != 1 or not 0 <= ord(text) - ord("A") < len(options):
        raise ValueError(f"the answer {text!r} is none of its {len(options)} options")
    return text
