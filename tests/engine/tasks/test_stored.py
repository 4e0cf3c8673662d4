"""Questions that come along as files are those that the generators make.

`python -m tests.engine.tasks.test_stored` writes the files anew.
"""

from __future__ import annotations

import json
import sys

import pytest

from engine.core.errors import UsageError
from engine.study.schema import load
from engine.tasks import open_task
from engine.tasks.gym import source
from engine.tasks.gym.source import OWN, RESERVED, STORED, Source, can_generate, stored
from engine.tasks.task import TaskSpec
from tests import ROOT

KEPT = {
    ("chain_sum", "easy"): 120,
    ("chain_sum", "medium"): 120,
    ("gcd", "easy"): 120,
    ("gsm_symbolic", "easy"): 120,
    ("letter_counting", "easy"): 120,
    ("needle_haystack", "2"): 40,
    ("needle_haystack", "medium"): 60,
    ("syllogism", "easy"): 120,
}
"""Generator, level → how many questions come along, besides the reserved ones."""


def write() -> None:
    for (generator, level), count in KEPT.items():
        made = Source(generator, level, [])
        asked = made.first(count)
        lines = [json.dumps(entry, sort_keys=True) for entry in (*made.reserved, *asked)]
        (STORED / f"{generator}.{level}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture
def without_generators(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where reasoning-gym is not installed."""
    monkeypatch.setitem(sys.modules, "reasoning_gym", None)
    monkeypatch.setattr(source, "can_generate", lambda: False)
    monkeypatch.setattr(source, "source", source.source.__wrapped__)


@pytest.mark.parametrize(("generator", "level"), KEPT, ids="/".join)
def test_what_comes_along_is_what_the_generator_makes_first(generator: str, level: str) -> None:
    made = Source(generator, level, [])
    asked = made.first(KEPT[generator, level])
    assert stored(generator, level) == [*made.reserved, *asked] and len(made.reserved) == RESERVED


def test_there_is_a_file_for_each_of_them_and_for_no_other() -> None:
    assert sorted(path.name for path in STORED.iterdir()) == sorted(f"{name}.{level}.jsonl" for name, level in KEPT)


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.toml")), ids=lambda path: str(path.stem))
@pytest.mark.usefixtures("without_generators")
def test_every_example_finds_its_questions_without_a_generator(path) -> None:
    for spec in load(path).tasks:
        assert len(open_task(spec).questions()) >= (spec.questions or 1)


def test_questions_have_the_same_ids_from_a_file_and_from_a_generator(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = TaskSpec("gym:gcd", questions=5, shots=2)
    monkeypatch.setattr(source, "source", source.source.__wrapped__)
    here = open_task(spec).questions()
    monkeypatch.setattr(source, "stored", lambda generator, level: [])
    assert open_task(spec).questions() == here


@pytest.mark.usefixtures("without_generators")
@pytest.mark.parametrize(
    ("spec", "kept"),
    [
        (TaskSpec("gym:lcm", questions=3), "none of its questions come along"),
        (TaskSpec("gym:gcd", questions=60, seed=2), "120 of its questions come along"),
    ],
)
def test_what_does_not_come_along_says_how_to_get_the_generators(spec: TaskSpec, kept: str) -> None:
    with pytest.raises(UsageError) as refused:
        open_task(spec).questions()
    assert kept in str(refused.value) and 'pip install "budgetscope[gym]"' in str(refused.value)


@pytest.mark.usefixtures("without_generators")
def test_generators_of_our_own_need_no_other_package() -> None:
    assert all(len(open_task(TaskSpec(f"gym:{name}", questions=3)).questions()) == 3 for name in OWN)


def test_a_clone_has_its_generators() -> None:
    assert can_generate()


if __name__ == "__main__":
    STORED.mkdir(exist_ok=True)
    write()
