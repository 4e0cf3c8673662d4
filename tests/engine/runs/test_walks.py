"""Every door that brings money or files is killed, and meets a provider that misbehaves; a few of each stand here.

The benches of kills and of modes walk all of them at length.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench.modes import Always
from tests.support import doors, killer, walks
from tests.support.faults import Fault
from tests.support.provider import Provider
from tests.support.walks import WALKS, Ground

BY_NAME = {walk.name: walk for walk in WALKS}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Ground, Provider]]:
    with walks.made(tmp_path_factory.mktemp("walks")) as ground:
        yield ground


def test_every_verb_that_brings_money_or_files_is_walked_and_what_spends_is_known_to() -> None:
    brings = {door.name: door.brings for door in doors.doors("verb")}
    assert len(BY_NAME) == len(WALKS)
    assert {walk.verb for walk in WALKS} >= {name for name, what in brings.items() if what & {"money", "files"}}
    assert {walk.verb for walk in WALKS if walk.asks} == {name for name, what in brings.items() if "money" in what}


@pytest.mark.parametrize(
    ("name", "point"),
    [
        ("import of a database", killer.HALF_FILLED),
        ("rewards", killer.UNNAMED),
        ("probe", "after the provider served, before the journal has it"),
    ],
)
def test_what_was_killed_comes_to_the_same_end_and_pays_nothing_twice(
    tmp_path: Path, made: tuple[Ground, Provider], name: str, point: str
) -> None:
    walk, (ground, provider) = BY_NAME[name], made
    provider.faults.clear()
    wanted, _ = walks.calm(walk, ground, tmp_path / "calm")
    fire = walks.under_fire(walk, ground, provider, tmp_path / "fire", wanted, [point])
    assert (fire.kills, fire.faults) == (1, [])


@pytest.mark.parametrize(("name", "kind"), [("probe", "huge_usage"), ("models", "500")])
def test_no_door_that_spends_goes_further_beyond_its_ceiling_than_the_call_that_told(
    tmp_path: Path, made: tuple[Ground, Provider], monkeypatch: pytest.MonkeyPatch, name: str, kind: str
) -> None:
    ground, provider = made
    monkeypatch.setattr(provider, "faults", Always([Fault(kind)]))
    held = walks.under_ceiling(BY_NAME[name], ground, provider, tmp_path / "own", 4_000)
    assert held.calls and held.charged
    assert held.over <= held.largest
