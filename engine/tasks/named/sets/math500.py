"""MATH-500: 500 problems of the MATH test split (Hendrycks et al. 2021, arXiv 2103.03874), chosen by Lightman et al.
(2023, arXiv 2305.20050). Grouped by their authors' level of difficulty, 1 to 5."""

from engine.tasks.named.benchmark import Benchmark, Item, Row, Source


def _read(row: Row) -> Item:
    text = str(row["problem"])
    return Item(
        text, str(row["answer"]), category=f"level {row['level']}", reasoning=str(row.get("solution") or "") or None
    )


BENCHMARK = Benchmark(
    title="MATH-500",
    family="maths",
    paper="Hendrycks et al. 2021, arXiv 2103.03874; Lightman et al. 2023, arXiv 2305.20050",
    licence="MIT",
    sources={
        "test": Source(
            "hf://datasets/HuggingFaceH4/MATH-500@6e4ed1a2a79af7d8630a6b768ec859cb5af4d3be/test.jsonl",
            500,
            "35dc41080a3680858b27fa7e0533d2d547825316fc5dafe5d316f4ccc5a06132",
        )
    },
    columns=("problem", "answer", "level"),
    read=_read,
    example={
        "problem": r"What is the sum of the roots of $2x^2 - 7x + 1 = 0$?",
        "solution": r"By Vieta the sum is $\frac{7}{2}$.",
        "answer": r"\frac{7}{2}",
        "subject": "Algebra",
        "level": 2,
    },
    kind="expression",
    scored="equal to the target by value or as algebra",
)
