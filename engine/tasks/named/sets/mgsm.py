"""MGSM: 250 problems of GSM8K in eleven languages, a subset each (Shi et al. 2022, arXiv 2210.03057). Questions stand
in their language, our sentence on the form of the answer in English."""

from engine.tasks.named.benchmark import Benchmark, Item, Row, Source

LANGUAGES = ["en", "bn", "de", "es", "fr", "ja", "ru", "sw", "te", "th", "zh"]
_AT = "hf://datasets/juletxara/mgsm@b2f13d426afe3be8d69a7e739b36724db8b66bbc/mgsm_{}.tsv"


def _read(row: Row) -> Item:
    return Item(str(row["question"]), str(row["answer_number"]).strip().replace(",", ""))


BENCHMARK = Benchmark(
    title="Multilingual Grade School Math",
    family="languages",
    paper="Shi et al. 2022, arXiv 2210.03057",
    licence="CC BY-SA 4.0",
    sources={language: Source(_AT.format(language), 250) for language in LANGUAGES},
    columns=("question", "answer_number"),
    read=_read,
    example={"question": "Lena hat 5 Körbe mit je 8 Äpfeln. Wie viele Äpfel sind das?", "answer_number": "40"},
    kind="number",
    head=("question", "answer_number"),
)
