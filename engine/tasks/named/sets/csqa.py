"""CommonsenseQA: five options on everyday knowledge (Talmor et al. 2019, arXiv 1811.00937); its validation split, as
the test split is published without answers."""

from engine.tasks.named.benchmark import Benchmark, Item, Row, Source, lettered_target


def _read(row: Row) -> Item:
    options = tuple(map(str, row["choices"]["text"]))
    return Item(str(row["question"]), lettered_target(row["answerKey"], options), options)


BENCHMARK = Benchmark(
    title="CommonsenseQA",
    family="everyday reasoning",
    paper="Talmor et al. 2019, arXiv 1811.00937",
    licence="MIT",
    sources={
        "validation": Source(
            "hf://datasets/tau/commonsense_qa@94630fe30dad47192a8546eb75f094926d47e155/data/validation-00000-of-00001.parquet",
            1221,
            "bdbd9bf9cc4d2349b24901038b2ab2f58e10e4e507ad2fd425dca55cd3cb6660",
        )
    },
    columns=("question", "choices", "answerKey"),
    read=_read,
    example={
        "question": "Where would you put a wet umbrella when you come home?",
        "choices": {"label": ["A", "B", "C", "D", "E"], "text": ["bookshelf", "stand", "bed", "oven", "mailbox"]},
        "answerKey": "B",
    },
    kind="choice",
    scored="by the letter of the option",
)
