"""Game of 24: four numbers, each used once, make 24 (Yao et al. 2023, arXiv 2305.10601). Subset `hard` holds ranks 901
to 1,000, which that paper asks."""

from collections.abc import Mapping

from engine.tasks.named.benchmark import Benchmark, Item, Row, Source
from engine.tasks.scorers import Game24

_FILE = Source(
    "github://princeton-nlp/tree-of-thought-llm@733b009f627f8e5c81c3e5461391d3aa3e0dd18f/src/tot/data/24/24.csv",
    1362,
    "b9f12b3e36d987a3c714c4cef17d89a137d7c59da26532fcfb93b4821d8111b5",
)
SUBSETS: Mapping[str, range] = {"all": range(1, 10**6), "hard": range(901, 1001)}
"""By name, the ranks of their puzzles; 1 is the easiest."""


def _read(row: Row) -> Item:
    return Item(str(row["Puzzles"]), Game24.target, category=f"ranks from {(int(row['Rank']) - 1) // 100 * 100 + 1}")


BENCHMARK = Benchmark(
    title="Game of 24",
    family="maths",
    paper="Yao et al. 2023, arXiv 2305.10601",
    licence="MIT",
    sources=dict.fromkeys(SUBSETS, _FILE),
    columns=("Rank", "Puzzles"),
    read=_read,
    keep=lambda row, subset: int(row["Rank"]) in SUBSETS[subset],
    example={"Rank": "905", "Puzzles": "2 3 5 12"},
    kind=Game24.kind,
    instructions=Game24.instructions,
    score=lambda answer, question: Game24().score(answer, question),
    scored="by evaluating the expression: its value is 24 and each number is used once",
)
