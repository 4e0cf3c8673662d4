"""GPQA: questions of biology, physics and chemistry that a web search does not answer (Rein et al. 2023, arXiv
2311.12022). Its authors ask that its questions are shown nowhere, so the file is gated. Options are in an order that
the question alone decides."""

from engine.tasks.named.benchmark import Benchmark, Item, Row, Source, shuffled

_AT = "hf://datasets/Idavidrein/gpqa@633f5ee89ab8ad4522a9f850766b73f62147ffdd/gpqa_{}.csv"


def _read(row: Row) -> Item:
    text = str(row["Question"]).strip()
    wrong = [str(row[f"Incorrect Answer {place}"]).strip() for place in (1, 2, 3)]
    options, letter = shuffled(str(row["Correct Answer"]).strip(), wrong, text)
    return Item(text, letter, options, category=str(row.get("High-level domain") or "") or None)


BENCHMARK = Benchmark(
    title="GPQA",
    family="science",
    paper="Rein et al. 2023, arXiv 2311.12022",
    licence="CC BY 4.0",
    sources={
        "diamond": Source(_AT.format("diamond"), 198),
        "main": Source(_AT.format("main"), 448),
        "extended": Source(_AT.format("extended"), 546),
    },
    columns=("Question", "Correct Answer", "Incorrect Answer 1", "Incorrect Answer 2", "Incorrect Answer 3"),
    read=_read,
    example={
        "Question": "A line of 500 nm is seen at 505 nm in a star's light. How fast does the star recede?",
        "Correct Answer": "about 3000 km/s",
        "Incorrect Answer 1": "about 300 km/s",
        "Incorrect Answer 2": "about 30000 km/s",
        "Incorrect Answer 3": "it approaches",
        "High-level domain": "Physics",
    },
    kind="choice",
    statement="first",
    scored="by the letter of the option",
    gated=True,
)
