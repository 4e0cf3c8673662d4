"""The list of ways in which a provider misbehaves, and what a ceiling is worth under a few of them."""

from __future__ import annotations

from tests.support.faults import KINDS, MODES


def test_there_are_at_least_two_dozen_modes_each_once_and_known_to_the_provider() -> None:
    assert len({mode.name for mode in MODES}) == len(MODES) >= 24
    assert {mode.fault.kind for mode in MODES} <= set(KINDS)
