"""Line-ups: models that work together in one trial, each in a role, and which strategies are run with which of them.

Owns the [[lineups]] tables of a study, and what several models are called together. Opens no model and makes no
condition (that is `plan`). A strategy names the roles it asks for besides `solver`; a condition holds no other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from engine.core.errors import UsageError
from engine.core.names import ARROW
from engine.core.toml import Table, Text
from engine.strategies import entries
from engine.strategies.registry import Entry

SOLVER = "solver"
Roles = tuple[tuple[str, str], ...]
"""Role to model name, the solver first."""


@dataclass(frozen=True, slots=True)
class Lineup:
    """A [[lineups]] table: who plays which role."""

    name: str
    """What the study calls it; part of no id."""
    roles: Roles


def called(models: Iterable[str]) -> str:
    """What a line-up is called where a single model shows its name: `small → large`."""
    return ARROW.join(models)


def roster(names: Iterable[str]) -> list[str]:
    """Names of models and line-ups in the order they are listed: single models first."""
    return sorted(set(names), key=lambda name: (ARROW in name, name))


def read(top: Table) -> tuple[Lineup, ...]:
    """The line-ups of a study; empty when it has none. Raises UsageError, UnknownName for a role nobody asks for."""
    if "lineups" not in top.body:
        return ()
    roles = (SOLVER, *dict.fromkeys(role for each in entries().values() for role in each.roles))
    return tuple(_lineup(table, roles) for table in top.tables("lineups", lambda _: ("name", *roles)))


def _lineup(table: Table, roles: Sequence[str]) -> Lineup:
    played = [role for role in roles if role in table.body]
    found = {role: table.value(role, Text) for role in (SOLVER, *played)}
    if len(found) < 2:
        raise UsageError(f"{table.place} names a solver alone; give it one more role of {_listed(roles[1:])}.")
    if twin := next((role for role in played if role != SOLVER and found[role] == found[SOLVER]), None):
        raise UsageError(f"{table.place} has {found[twin]!r} both as solver and as {twin}; a line-up takes two models.")
    return Lineup(table.value("name", Text), tuple(found.items()))


def teams(wanted: Sequence[Entry], alone: Sequence[str], lineups: Sequence[Lineup]) -> dict[str, tuple[Roles, ...]]:
    """By strategy what it is run with: each model that runs alone, or each line-up that names all its roles.

    Raises UsageError for a strategy without models, and for a line-up without a strategy.
    """
    found = {each.name: _team(each, alone, lineups) for each in wanted}
    for lineup in lineups:
        if not any(_fits(each, lineup) for each in wanted):
            raise UsageError(
                f"No strategy of the study is run with the line-up {lineup.name!r}, which has "
                f"{_listed(role for role, _ in lineup.roles)}; {_advice(lineup)}take the line-up out."
            )
    return found


def idle(models: Sequence[str], teams: Mapping[str, Sequence[Roles]]) -> str | None:
    """The first of these models that no strategy is run with; None: each has work."""
    busy = {model for found in teams.values() for roles in found for _, model in roles}
    return next((model for model in models if model not in busy), None)


def _team(wanted: Entry, alone: Sequence[str], lineups: Sequence[Lineup]) -> tuple[Roles, ...]:
    if wanted.roles:
        found = [
            tuple((role, dict(each.roles)[role]) for role in _asked(wanted)) for each in lineups if _fits(wanted, each)
        ]
    else:
        found = [((SOLVER, model),) for model in alone]
    if not found:
        raise UsageError(_missing(wanted))
    if any(len({model for _, model in roles}) < len(roles) for roles in found):
        raise UsageError(
            f"Strategy {wanted.name!r} needs another model in each of its roles "
            f"{_listed(_asked(wanted))}; a line-up has one twice."
        )
    return tuple(dict.fromkeys(found))


def _missing(wanted: Entry) -> str:
    if not wanted.roles:
        return (
            f"Strategy {wanted.name!r} is run with one model and the study runs none alone; list one under models "
            "without alone = false."
        )
    keys = ", ".join(f'{role} = "..."' for role in _asked(wanted))
    return (
        f"Strategy {wanted.name!r} asks {len(wanted.roles) + 1} models and no line-up of the study has "
        f'{_listed(_asked(wanted))}; add [[lineups]] with name = "...", {keys}.'
    )


def _advice(lineup: Lineup) -> str:
    fitting = next((each.name for each in entries().values() if _fits(each, lineup)), None)
    return f"add one such as {fitting!r} or " if fitting else ""


def _fits(wanted: Entry, lineup: Lineup) -> bool:
    return bool(wanted.roles) and set(_asked(wanted)) <= dict(lineup.roles).keys()


def _asked(wanted: Entry) -> tuple[str, ...]:
    return (SOLVER, *wanted.roles)


def _listed(roles: Iterable[str]) -> str:
    *most, last = roles
    return f"{', '.join(most)} and {last}" if most else last
