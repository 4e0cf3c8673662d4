"""SciQ: exam questions of school science with four options (Welbl et al. 2017, arXiv 1707.06209); the 1,000 of its
test split, without the paragraph that supports the answer. Options are in an order that the question alone decides."""

from engine.tasks.named.benchmark import Benchmark, Item, Row, Source, shuffled


def _read(row: Row) -> Item:
    text = str(row["question"]).strip()
    wrong = [str(row[f"distractor{place}"]).strip() for place in (1, 2, 3)]
    options, letter = shuffled(str(row["correct_answer"]).strip(), wrong, text)
    return Item(text, letter, options)


BENCHMARK = Benchmark(
    title="SciQ",
    family="science",
    paper="Welbl et al. 2017, arXiv 1707.06209",
    licence="CC BY-NC 3.0 (not for commercial use)",
    sources={
        "test": Source(
            "hf://datasets/allenai/sciq@2c94ad3e1aafab77146f384e23536f97a4849815/data/test-00000-of-00001.parquet",
            1000,
            "3a719356a29b127fc54ef3c7f51a034db4bd105d5717215e8c85d2aa58d60667",
        )
    },
    columns=("question", "correct_answer", "distractor1", "distractor2", "distractor3"),
    read=_read,
    example={
        "question": "Which gas do green plants take in to build sugar?",
        "correct_answer": "carbon dioxide",
        "distractor1": "oxygen",
        "distractor2": "helium",
        "distractor3": "nitrogen",
    },
    kind="choice",
    scored="by the letter of the option",
)
