"""StrategyQA: yes or no, by steps that the question does not spell out (Geva et al. 2021, arXiv 2101.02235)."""

from engine.tasks.named.benchmark import Benchmark, Item, Row, Source


def _read(row: Row) -> Item:
    right = row["answer"]
    if str(right).strip().lower() not in ("true", "false"):
        raise ValueError(f"the answer {right!r} is neither true nor false")
    return Item(str(row["question"]), "yes" if str(right).strip().lower() == "true" else "no")


BENCHMARK = Benchmark(
    title="StrategyQA",
    family="everyday reasoning",
    paper="Geva et al. 2021, arXiv 2101.02235",
    licence="MIT",
    sources={
        "test": Source("hf://datasets/ChilleD/StrategyQA@705562638fe1d8ca6bb98c66fc8f94d45fda8c83/test.json", 687)
    },
    columns=("question", "answer"),
    read=_read,
    example={"question": "Could a giraffe look over a garden fence of one metre?", "answer": True},
    kind="yes_no",
    scored="by the word",
)
