"""Installing is reproducible: one list of exact versions in two places, and bounds to raise them within."""

from __future__ import annotations

import re
import runpy
import tomllib
from email.message import Message
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests import ROOT

TEXT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
PROJECT: dict[str, Any] = tomllib.loads(TEXT)
PINS: list[str] = PROJECT["tool"]["uv"]["constraint-dependencies"]
CONSTRAINTS = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
DIRECT = [
    *PROJECT["project"]["dependencies"],
    *(line for extra in PROJECT["project"]["optional-dependencies"].values() for line in extra),
    *(line for group in PROJECT["dependency-groups"].values() for line in group if not line.startswith("budgetscope[")),
]
SOURCE_ALONE = {"cellpylib", "llama-cpp-python", "pycosat", "zss"}
"""What packages of ours ask for and no wheel was ever made of; some want a C compiler."""
PIN = re.compile(r"[a-z0-9-]+==[0-9][a-z0-9.+!]*( ; [a-z0-9_.<>=!'() ]+)?")
"""A name, an exact version and at most a marker; there is no room for a URL, an option or a host."""


def installed() -> dict[str, str]:
    """Name → version of all that the project and its groups bring in, as far as it is installed here."""
    found: dict[str, str] = {}
    seen: set[tuple[str, str]] = set()
    waiting = [("", Requirement(line)) for line in DIRECT]
    while waiting:
        extra, requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue  # of a group that was left out, or kept out of every installation
        for wanted in {("", name), *((extra, name) for extra in requirement.extras)} - seen:
            seen.add(wanted)
            waiting += [(wanted[0], Requirement(line)) for line in requires(name) or ()]
    return found


def test_both_places_hold_the_same_list_as_the_script_writes_it() -> None:
    assert CONSTRAINTS[1:] == PINS
    assert runpy.run_path(str(ROOT / ".ci" / "raise_versions"))["with_pins"](TEXT, PINS) == TEXT


def test_a_pin_is_a_name_and_an_exact_version_and_names_no_registry() -> None:
    assert not [pin for pin in PINS if not PIN.fullmatch(pin)]
    assert CONSTRAINTS[0].startswith("# ") and "://" not in CONSTRAINTS[0]
    assert not set(PROJECT["tool"]["uv"]) & {"index", "index-url", "extra-index-url", "find-links", "sources"}


@pytest.mark.parametrize("line", [*PROJECT["build-system"]["requires"], *DIRECT])
def test_a_direct_dependency_is_bounded_below_and_above(line: str) -> None:
    assert {bound.operator for bound in Requirement(line).specifier} == {">=", "<"}


def test_everything_installed_has_its_pinned_version() -> None:
    here = [pin for pin in map(Requirement, PINS) if pin.marker is None or pin.marker.evaluate()]
    pinned = {pin.name: str(pin.specifier).removeprefix("==") for pin in here}
    found = installed()
    assert {"duckdb", "openai", "pytest"} <= set(found)
    assert found == {name: pinned.get(name) for name in found}


def test_nothing_is_built_on_a_users_machine_but_our_own_package() -> None:
    never = set(PROJECT["tool"]["uv"]["exclude-dependencies"])
    assert never >= SOURCE_ALONE
    assert not never & {Requirement(pin).name for pin in PINS} and not never & set(installed())
    # An index that has lost a wheel is found where there is a network: by the checks themselves.
    assert "uv sync --quiet --no-build" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_every_extra_is_a_group_of_a_clone_by_the_same_name() -> None:
    extras = PROJECT["project"]["optional-dependencies"]
    groups = PROJECT["dependency-groups"]
    assert {name: [f"budgetscope[{name}]"] for name in extras} == {name: groups[name] for name in extras}
    # Of 260 MB, and for clusters alone, so a clone asks for it.
    assert set(extras) - {"ray"} <= set(PROJECT["tool"]["uv"]["default-groups"])


class Stating:
    """An installed package as far as it says what it is."""

    version = "1.0"

    def __init__(self, name: str, **fields: str) -> None:
        self.metadata = Message()
        for field, value in {"Name": name, **fields}.items():
            self.metadata[field.replace("_", "-")] = value


def test_a_package_that_states_no_licence_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    main = runpy.run_path(str(ROOT / ".ci" / "licences"))["main"]
    told = [
        Stating("spdx", License_Expression="MIT"),
        Stating("classified", Classifier="License :: OSI Approved :: BSD License", License="a page of text"),
        Stating("worded", License="Apache 2.0\n\nand more"),
        Stating("zss"),
    ]
    assert main(told) == 0
    listed = capsys.readouterr().out
    assert [line.split(maxsplit=2)[2] for line in listed.splitlines()][:3] == ["BSD License", "MIT", "Apache 2.0"]
    assert main([*told, Stating("silent", License="UNKNOWN")]) == 1
    assert "No licence is stated by silent:" in capsys.readouterr().err
