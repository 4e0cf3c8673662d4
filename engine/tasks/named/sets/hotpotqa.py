"""HotpotQA: questions over two paragraphs among ten (Yang et al. 2018, arXiv 1809.09600); the distractor setting, the
paragraphs as context. Exact text once case, articles and punctuation are folded, as with its authors' exact match."""

from engine.tasks.named.benchmark import Benchmark, Item, Row, Source


def _read(row: Row) -> Item:
    titles, paragraphs = row["context"]["title"], row["context"]["sentences"]
    context = "\n\n".join(f"{title}: {''.join(lines).strip()}" for title, lines in zip(titles, paragraphs, strict=True))
    return Item(str(row["question"]), str(row["answer"]), context=context, category=str(row["type"]))


BENCHMARK = Benchmark(
    title="HotpotQA, distractor setting",
    family="everyday reasoning",
    paper="Yang et al. 2018, arXiv 1809.09600",
    licence="CC BY-SA 4.0",
    sources={
        "validation": Source(
            "hf://datasets/hotpotqa/hotpot_qa@1908d6afbbead072334abe2965f91bd2709910ab/distractor/validation-00000-of-00001.parquet",
            7405,
            "c20b638ca82b21d04fe12e14ff417ad05153d4d215a65de54497fca4e972f7c6",
        )
    },
    columns=("question", "answer", "type", "context"),
    read=_read,
    example={
        "question": "In which country lies the town where the painter of The Long Pier was born?",
        "answer": "Portugal",
        "type": "bridge",
        "context": {
            "title": ["The Long Pier", "Vila Clara"],
            "sentences": [
                ["The Long Pier is a painting by Rui Vale.", " Vale was born in Vila Clara."],
                ["Vila Clara is a town in Portugal."],
            ],
        },
    },
    kind="text",
    instructions="Answer with a name, a date, yes or no, or a few words of the text.",
    scored="equal to the target once case, articles and punctuation are folded",
)
