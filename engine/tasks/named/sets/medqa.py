"""MedQA: questions of the United States medical licensing exam with four options (Jin et al. 2020, arXiv 2009.13081);
the 1,273 of its test split."""

from engine.tasks.named.benchmark import Benchmark, Item, Row, Source, lettered_target


def _read(row: Row) -> Item:
    options = tuple(str(row["options"][letter]) for letter in sorted(row["options"]))
    target = lettered_target(row["answer_idx"], options)
    return Item(str(row["question"]), target, options, category=str(row.get("meta_info") or "") or None)


BENCHMARK = Benchmark(
    title="MedQA (USMLE, four options)",
    family="medicine",
    paper="Jin et al. 2020, arXiv 2009.13081",
    licence="CC BY 4.0 by its card; the questions are of public exam sites",
    sources={
        "test": Source(
            "hf://datasets/GBaker/MedQA-USMLE-4-options@0fb93dd23a7339b6dcd27e241cb9b5eca62d4d18/phrases_no_exclude_test.jsonl",
            1273,
        )
    },
    columns=("question", "options", "answer_idx"),
    read=_read,
    example={
        "question": "After months without fresh food a sailor's gums bleed. Which vitamin is he likely short of?",
        "answer": "Vitamin C",
        "options": {"A": "Vitamin A", "B": "Vitamin B12", "C": "Vitamin C", "D": "Vitamin K"},
        "answer_idx": "C",
        "meta_info": "step1",
    },
    kind="choice",
    scored="by the letter of the option",
)
