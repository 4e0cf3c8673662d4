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
    lineups: list[Lineup] = []
    for table in top.tables("lineups", lambda _: ("name", *roles)):
        # In the order of the roles and not of the file: two tables that say the same are one line-up.
        played = [role for role in roles if role in table.body]
        models = {role: table.value(role, Text) for role in (SOLVER, *played)}
        if len(models) < 2:
            raise UsageError(f"{table.place} names a solver alone; give it one more role of {_listed(roles[1:])}.")
        if twin := next((role for role in played if role != SOLVER and models[role] == models[SOLVER]), None):
            raise UsageError(
                f"{table.place} has {models[twin]!r} both as solver and as {twin}; a line-up takes two models."
            )
        lineups.append(Lineup(table.value("name", Text), tuple(models.items())))
    return tuple(lineups)


def teams(wanted: Sequence[Entry], alone: Sequence[str], lineups: Sequence[Lineup]) -> dict[str, tuple[Roles, ...]]:
    """By strategy what it is run with: each model that runs alone, or each line-up that names all its roles.

    Raises UsageError for a strategy without models, and for a line-up without a strategy.
    """
    playing = {each.name: _team(each, alone, lineups) for each in wanted}
    for lineup in lineups:
        if not any(_fits(each, lineup) for each in wanted):
            fitting = next((each.name for each in entries().values() if _fits(each, lineup)), None)
            advice = f"add one such as {fitting!r} or " if fitting else ""
            raise UsageError(
                f"No strategy of the study is run with the line-up {lineup.name!r}, which has "
                f"{_listed(role for role, _ in lineup.roles)}; {advice}take the line-up out."
            )
    return playing


def idle(models: Sequence[str], teams: Mapping[str, Sequence[Roles]]) -> str | None:
    """The first of these models that no strategy is run with; None: each has work."""
    busy = {model for playing in teams.values() for roles in playing for _, model in roles}
    return next((model for model in models if model not in busy), None)


def _team(wanted: Entry, alone: Sequence[str], lineups: Sequence[Lineup]) -> tuple[Roles, ...]:
    roles = _roles(wanted)
    # A line-up may name more roles than this strategy asks for; those it does not ask for are no part of its ids.
    fitting = [dict(each.roles) for each in lineups if _fits(wanted, each)] if wanted.roles else []
    playing = [tuple((role, models[role]) for role in roles) for models in fitting]
    if not wanted.roles:
        playing = [((SOLVER, model),) for model in alone]
        if not playing:
            raise UsageError(
                f"Strategy {wanted.name!r} is run with one model and the study runs none alone; list one under models "
                "without alone = false."
            )
    if not playing:
        keys = ", ".join(f'{role} = "..."' for role in roles)
        raise UsageError(
            f"Strategy {wanted.name!r} asks {len(roles)} models and no line-up of the study has "
            f'{_listed(roles)}; add [[lineups]] with name = "...", {keys}.'
        )
    if any(len({model for _, model in team}) < len(team) for team in playing):
        raise UsageError(
            f"Strategy {wanted.name!r} needs another model in each of its roles {_listed(roles)}; "
            "a line-up has one twice."
        )
    # Two line-ups may differ only in a role this strategy does not ask for.
    return tuple(dict.fromkeys(playing))


def _fits(wanted: Entry, lineup: Lineup) -> bool:
    return bool(wanted.roles) and set(_roles(wanted)) <= dict(lineup.roles).keys()


def _roles(wanted: Entry) -> tuple[str, ...]:
    return (SOLVER, *wanted.roles)


def _listed(roles: Iterable[str]) -> str:
    *most, last = roles
    return f"{', '.join(most)} and {last}" if most else last
