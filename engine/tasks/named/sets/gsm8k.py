"""GSM8K: word problems of grade-school arithmetic (Cobbe et al. 2021, arXiv 2110.14168); 1,319, its test split."""

import re

from engine.tasks.named.benchmark import Benchmark, Item, Row, Source

_NOTES = re.compile(r"<<[^<>]{0,200}>>")
"""Its authors' notes for a calculator, `<<3*5=15>>`."""


def _read(row: Row) -> Item:
    steps, mark, target = str(row["answer"]).rpartition("####")
    if not mark:
        raise ValueError("its answer has no ####")
    return Item(str(row["question"]), target.strip().replace(",", ""), reasoning=_NOTES.sub("", steps).strip() or None)


BENCHMARK = Benchmark(
    title="Grade School Math 8K",
    family="maths",
    paper="Cobbe et al. 2021, arXiv 2110.14168",
    licence="MIT",
    sources={
        "test": Source(
            "hf://datasets/openai/gsm8k@740312add88f781978c0658806c59bc2815b9866/main/test-00000-of-00001.parquet",
            1319,
            "ee7b8da9e381df27b9e3f7758a159ab2bdaa4dbaa910546cbbc47e0cb44e4f59",
        )
    },
    columns=("question", "answer"),
    read=_read,
    example={
        "question": "A box holds 6 eggs. Mara buys 4 boxes and breaks 3 eggs. How many whole eggs does she have?",
        "answer": "She buys 4 * 6 = <<4*6=24>>24 eggs.\n24 - 3 = <<24-3=21>>21 are whole.\n#### 21",
    },
    kind="number",
)
