"""PubMedQA: yes, no or maybe to the title of a study, its abstract without the conclusion as context (Jin et al. 2019,
arXiv 1909.06146); the 1,000 questions labelled by experts."""

from engine.tasks.named.benchmark import Benchmark, Item, Row, Source


def _read(row: Row) -> Item:
    decision = str(row["final_decision"]).strip().lower()
    if decision not in ("yes", "no", "maybe"):
        raise ValueError(f"the final_decision {decision!r} is none of yes, no, maybe")
    return Item(str(row["question"]), decision, context="\n".join(map(str, row["context"]["contexts"])))


BENCHMARK = Benchmark(
    title="PubMedQA, labelled by experts",
    family="medicine",
    paper="Jin et al. 2019, arXiv 1909.06146",
    licence="MIT; the abstracts belong to their publishers",
    sources={
        "labelled": Source(
            "hf://datasets/qiaojin/PubMedQA@9001f2853fb87cab8d220904e0de81ac6973b318/pqa_labeled/train-00000-of-00001.parquet",
            1000,
        )
    },
    columns=("question", "context", "final_decision"),
    read=_read,
    example={
        "question": "Does a daily walk lower resting heart rate in office workers?",
        "context": {"contexts": ["Sixty office workers walked 30 minutes a day.", "Heart rate fell from 74 to 69."]},
        "final_decision": "yes",
    },
    kind="word",
    instructions="Answer yes, no or maybe.",
    scored="by the word",
)
