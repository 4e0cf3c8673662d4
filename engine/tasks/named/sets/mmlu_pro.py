"""MMLU-Pro: questions of fourteen fields with up to ten options (Wang et al. 2024, arXiv 2406.01574); the 12,032 of its
test split, grouped by field."""

from engine.tasks.named.benchmark import Benchmark, Item, Row, Source, lettered_target


def _read(row: Row) -> Item:
    options = tuple(map(str, row["options"]))
    return Item(str(row["question"]), lettered_target(row["answer"], options), options, category=str(row["category"]))


BENCHMARK = Benchmark(
    title="MMLU-Pro",
    family="science",
    paper="Wang et al. 2024, arXiv 2406.01574",
    licence="MIT",
    sources={
        "test": Source(
            "hf://datasets/TIGER-Lab/MMLU-Pro@b189ec765aa7ed75c8acfea42df31fdae71f97be/data/test-00000-of-00001.parquet",
            12032,
            "0e24a191921c2f453518a537a8b2117bd137e7714d4ef1565e9ba06c1ecb9ad8",
        )
    },
    columns=("question", "options", "answer", "category"),
    read=_read,
    example={
        "question": "A wire of 6 ohms carries 2 amperes. How much heat does it give off in a second?",
        "options": ["3 J", "12 J", "24 J", "36 J", "72 J", "144 J"],
        "answer": "C",
        "category": "physics",
    },
    kind="choice",
    statement="first",
    scored="by the letter of the option",
)
