"""TheoremQA: questions that want a theorem of maths, physics, finance or computing (Chen et al. 2023, arXiv
2305.12524). Questions with a picture are left out; the others are scored as its authors do: whole numbers exactly,
decimals within 4 per cent, lists item by item in any order."""

import json
import math

from engine.core import answers
from engine.core.records import AnswerKind, Question
from engine.tasks.named.benchmark import Benchmark, Item, Row, Source

TOLERANCE = 0.04
"""Share of the target by which a decimal may be off."""
_KINDS: dict[str, AnswerKind] = {"bool": "word", "option": "choice", "integer": "number", "float": "number"}


def _read(row: Row) -> Item | None:
    if row["Picture"]:
        return None
    kind, target = str(row["Answer_type"]), str(row["Answer"]).strip()
    if kind not in _KINDS and not kind.startswith("list"):
        raise ValueError(f"the Answer_type {kind!r} is none of its own")
    text = str(row["Question"])
    if kind == "bool":
        text += " Answer True or False."
    if kind.startswith("list"):
        text += " Answer with a list such as [1, 2]."
    if kind == "option":
        target = answers.letter_of(target) or target
    return Item(text, target, category=kind, kind=_KINDS.get(kind, "text"))


def _score(answer: str, question: Question) -> float:
    kind, target = question.problem.answer_kind, question.target
    if kind == "number":
        return float(_close(answer, target))
    if target.startswith("["):
        wanted, said = _items(target), _items(answer)
        pairs = zip(sorted(wanted), sorted(said), strict=False)
        return float(len(wanted) == len(said) > 0 and all(_near(one, two) for two, one in pairs))
    return float(answers.same(answer, target, kind))


def _close(answer: str, target: str) -> bool:
    if answers.same(answer, target, "number"):
        return True
    value, wanted = answers.number_value(answers.plain(answer)), answers.number_value(target)
    # Whole numbers are exact.
    return value is not None and wanted is not None and "." in target and _near(float(value), float(wanted))


def _near(value: float, wanted: float) -> bool:
    return math.isfinite(value) and abs(value - wanted) <= TOLERANCE * abs(wanted)


def _items(text: str) -> list[float]:
    """The numbers of a list; nothing of a text that is none."""
    try:
        read = json.loads(text.strip().replace("(", "[").replace(")", "]")[:400])
        return [float(item) for item in read] if isinstance(read, list) else []
    except (ValueError, TypeError, RecursionError):
        return []


BENCHMARK = Benchmark(
    title="TheoremQA",
    family="maths",
    paper="Chen et al. 2023, arXiv 2305.12524",
    licence="MIT",
    sources={
        "test": Source(
            "hf://datasets/TIGER-Lab/TheoremQA@a340b1782960a712843aae3ed25f1e013cc008a5/data/test-00000-of-00001.parquet",
            800,
        )
    },
    columns=("Question", "Answer", "Answer_type", "Picture"),
    read=_read,
    example={
        "Question": "How many edges has a tree with 12 vertices?",
        "Answer": "11",
        "Answer_type": "integer",
        "Picture": None,
    },
    kind="number",
    score=_score,
    scored="as its authors do: whole numbers exactly, decimals within 4 per cent, lists item by item",
)
