"""BIG-Bench Hard: tasks on which models were once below people (Suzgun et al. 2022, arXiv 2210.09261), a subset each.
Answers are read as the targets of a subset look; options stand in its questions."""

from engine.core import answers
from engine.tasks.named.benchmark import Benchmark, Item, Row, Source

_AT = "github://suzgunmirac/BIG-Bench-Hard@9ee07bd481feebf959a6b59d61ea57bdcf30964d/bbh/{}.json"
SUBSETS = [
    "boolean_expressions",
    "causal_judgement",
    "date_understanding",
    "disambiguation_qa",
    "dyck_languages",
    "formal_fallacies",
    "geometric_shapes",
    "hyperbaton",
    "logical_deduction_five_objects",
    "logical_deduction_seven_objects",
    "logical_deduction_three_objects",
    "movie_recommendation",
    "multistep_arithmetic_two",
    "navigate",
    "object_counting",
    "penguins_in_a_table",
    "reasoning_about_colored_objects",
    "ruin_names",
    "salient_translation_error_detection",
    "snarks",
    "sports_understanding",
    "temporal_sequences",
    "tracking_shuffled_objects_five_objects",
    "tracking_shuffled_objects_seven_objects",
    "tracking_shuffled_objects_three_objects",
    "web_of_lies",
    "word_sorting",
]


def _read(row: Row) -> Item:
    target = str(row["target"]).strip()
    # "(B)" is option B; "B" alone would be a word.
    return Item(str(row["input"]), answers.letter_of(target) or target if target.startswith("(") else target)


BENCHMARK = Benchmark(
    title="BIG-Bench Hard",
    family="everyday reasoning",
    paper="Suzgun et al. 2022, arXiv 2210.09261",
    licence="MIT",
    sources={subset: Source(_AT.format(subset)) for subset in SUBSETS},
    columns=("input", "target"),
    read=_read,
    example={"input": "not ( True and False ) is", "target": "True"},
)
