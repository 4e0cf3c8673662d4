"""Installs are reproducible: every package of the tree is pinned, in one list that uv and pip both read."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import PackageNotFoundError, version

import pytest

from tests import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PINS: list[str] = PROJECT["tool"]["uv"]["constraint-dependencies"]
DIRECT: list[str] = [
    *PROJECT["project"]["dependencies"],
    *(each for extra in PROJECT["project"].get("optional-dependencies", {}).values() for each in extra),
    *(each for group in PROJECT["dependency-groups"].values() for each in group),
]


def name_of(requirement: str) -> str:
    return re.split(r"[<>=;\[ ]", requirement, maxsplit=1)[0].lower()


def test_uv_and_pip_are_told_the_same_versions() -> None:
    assert (ROOT / "constraints.txt").read_text("utf-8").splitlines() == PINS
    assert all(re.fullmatch(r"[a-z0-9._-]+==[0-9a-z.+!]+( ; .+)?", pin) for pin in PINS)


def test_no_pin_names_a_host() -> None:
    assert not [pin for pin in PINS if "//" in pin or "@" in pin]


@pytest.mark.parametrize("requirement", DIRECT)
def test_a_direct_dependency_is_bounded_on_both_sides_and_pinned(requirement: str) -> None:
    assert ">=" in requirement and "<" in requirement
    assert name_of(requirement) in map(name_of, PINS)


def test_what_is_installed_is_what_is_pinned() -> None:
    wanted: dict[str, set[str]] = {}
    for pin in PINS:
        wanted.setdefault(name_of(pin), set()).add(pin.partition("==")[2].partition(" ;")[0])
    for name, versions in wanted.items():
        try:
            installed = version(name)
        except PackageNotFoundError:
            continue  # Needed on another platform only.
        assert installed in versions, name
