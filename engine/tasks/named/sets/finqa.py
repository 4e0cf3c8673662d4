"""FinQA: calculations over the text and the tables of annual reports (Chen et al. 2021, arXiv 2109.00122); the 1,147 of
its test split, text and table as context. An answer is right where, rounded as the target is, it is the target: a share
may be said as 12.5% or 0.125."""

from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from fractions import Fraction

from engine.core import answers
from engine.core.records import AnswerKind, Question
from engine.tasks.named.benchmark import Benchmark, Item, Row, Source


def _read(row: Row) -> Item:
    asked = row["qa"]
    target = str(asked["answer"]).strip() or str(asked["exe_ans"]).strip()
    lines = "\n".join(" | ".join(map(str, cells)) for cells in row["table"])
    parts = ("\n".join(row["pre_text"]), lines, "\n".join(row["post_text"]))
    kind: AnswerKind | None = "yes_no" if target.lower() in ("yes", "no") else None
    return Item(str(asked["question"]), target, context="\n\n".join(part for part in parts if part.strip()), kind=kind)


def _score(answer: str, question: Question) -> float:
    kind, target = question.problem.answer_kind, question.target
    if answers.same(answer, target, kind):
        return 1.0
    said, shown = answers.plain(answer), target.replace("%", "").replace("$", "").replace(",", "")
    value = answers.number_value(said.replace("%", "").strip())
    try:
        wanted = Decimal(shown.strip())
    except InvalidOperation:
        return 0.0
    if value is None or kind != "number" or not wanted.is_finite():
        return 0.0
    # A share that is said without its sign may be hundredths.
    values = (value, value * 100) if "%" in target and "%" not in said else (value,)
    return float(any(_rounded(each, wanted) == wanted for each in values))


def _rounded(value: Fraction, like: Decimal) -> Decimal | None:
    try:
        return (Decimal(value.numerator) / Decimal(value.denominator)).quantize(like, ROUND_HALF_EVEN)
    except (InvalidOperation, OverflowError):
        return None


BENCHMARK = Benchmark(
    title="FinQA",
    family="finance",
    paper="Chen et al. 2021, arXiv 2109.00122",
    licence="MIT",
    sources={
        "test": Source(
            "github://czyssrs/FinQA@0f16e2867befa6840783e58be38c9efb9229d742/dataset/test.json",
            1147,
            "831dbfb2e785dbc227f895ce3f24046433467aec67b09db2bd6ac7692a8a30dc",
        )
    },
    columns=("pre_text", "table", "post_text", "qa"),
    read=_read,
    example={
        "pre_text": ["Sales of the northern branch, in millions:"],
        "table": [["", "2020", "2021"], ["sales", "80", "90"]],
        "post_text": ["The branch employs 40 people."],
        "qa": {"question": "By what share did sales grow from 2020 to 2021?", "answer": "12.5%", "exe_ans": 0.125},
    },
    kind="number",
    instructions="Give the answer as a number, with % where it is a share.",
    score=_score,
    scored="equal to the target once it is rounded as the target is",
)
