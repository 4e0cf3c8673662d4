"""The registry of strategies: a name, its frozen dataclass, and what it promises."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pkgutil
import re
import types
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol, TypeVar, Union, get_args, get_origin, get_type_hints

from engine.core.errors import UnknownName, UsageError, shortened
from engine.core.ids import canonical
from engine.core.records import Problem
from engine.trial.session import Session


class Strategy(Protocol):
    """What the registry accepts: a frozen dataclass with these two members."""

    @property
    def calls(self) -> int:
        """Most calls one trial makes, as a formula of the parameters."""

    def solve(self, problem: Problem, session: Session) -> AsyncIterator[str]:
        """Yield the best answer so far, again and again; each yield leaves a mark."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A registered strategy."""

    name: str
    make: Callable[..., Any]
    anytime: Callable[[Any], bool]
    """Of an instance: whether its requests and yields depend on the budget no way at all."""
    version: int
    """Bumped with every change of prompts or logic: trials of different versions are different trials."""
    family: str
    calls: str
    """Most calls per question as a formula of the parameters."""
    oracle: bool = False
    """True: it is told whether answers are right, so it is a bound for study and labelled wherever it appears."""
    roles: tuple[str, ...] = ()
    """Models it asks for besides the solver, by role; empty: it needs no other."""
    listed: bool = True
    """False: no strategy to choose but machinery that is run as one; lists and studies do not know it."""
    needs_prefix: bool = False
    """True: it begins replies for its solver, which must go on with a last turn of the assistant."""

    @property
    def idea(self) -> str:
        """First line of the strategy's docstring."""
        return (self.make.__doc__ or "").strip().splitlines()[0]

    @property
    def text(self) -> str:
        """The rest of the docstring: how it divides its budget, when it stops."""
        _, _, rest = (inspect.getdoc(self.make) or "").partition("\n\n")
        return " ".join(rest.split())

    @property
    def papers(self) -> tuple[str, ...]:
        """arXiv ids named in the docstring, in order."""
        return tuple(dict.fromkeys(re.findall(r"arXiv (\d{4}\.\d{4,5})", self.make.__doc__ or "")))

    @property
    def knobs(self) -> dict[str, object]:
        """Parameters with their defaults."""
        return {f.name: f.default for f in dataclasses.fields(self.make)}  # type: ignore[arg-type]


_REGISTRY: dict[str, Entry] = {}
_T = TypeVar("_T", bound=type)


def strategy(
    name: str,
    *,
    anytime: bool | Callable[[Any], bool],
    family: str,
    calls: str,
    version: int = 1,
    oracle: bool = False,
    roles: tuple[str, ...] = (),
    listed: bool = True,
    needs_prefix: bool = False,
) -> Callable[[_T], _T]:
    """Register a frozen dataclass as a strategy."""
    # Said here and not by a test: plugins register through this door too.
    if oracle and listed and "oracle" not in name:
        raise ValueError(f"{name!r} is told what is right, so its name must say oracle: it is its label everywhere")
    if not {"name", "solver"}.isdisjoint(roles) or len({*roles}) < len(roles):
        raise ValueError(f"the roles of {name!r} must differ from each other, from solver and from name")
    promise = anytime if callable(anytime) else lambda _: bool(anytime)

    def register(make: _T) -> _T:
        # The last of one name stands; whether a plugin may take a name is seen when it is admitted.
        _REGISTRY[name] = Entry(name, make, promise, version, family, calls, oracle, roles, listed, needs_prefix)
        return make

    return register


@cache
def builtin() -> None:
    """Import every page of this room, once."""
    # By the folder and not by a list, so that a new page is a strategy without another line anywhere.
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        importlib.import_module(f"{__package__}.{module.name}")


def registered() -> dict[str, Entry]:
    """What is registered at this moment, listed or not; imports nothing."""
    return dict(_REGISTRY)


def restore(before: Mapping[str, Entry]) -> None:
    """Put the registry back to what `registered` said before."""
    _REGISTRY.clear()
    _REGISTRY.update(before)


def instance(found: Entry, params: Mapping[str, object]) -> Any:
    """An instance with checked parameters. Raises UsageError naming the parameter and what it takes."""
    hints = get_type_hints(found.make)
    leasts = {field.name: field.metadata.get("least", 1) for field in dataclasses.fields(found.make)}  # type: ignore[arg-type]
    checked: dict[str, object] = {}
    for key, value in params.items():
        if key not in found.knobs:
            raise UnknownName(f"parameter of strategy {found.name}", key, found.knobs)
        hint = hints[key]
        union = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
        kinds = [kind for kind in union if kind is not type(None)]
        # Exactly: True is an int to Python, and would be stored as another parameter than 1.
        if not any(type(value) is kind or (kind is float and type(value) is int) for kind in kinds):
            wanted = " or ".join(kind.__name__ for kind in kinds)
            raise UsageError(f"Strategy {found.name!r} takes {key} as {wanted}, not {shortened(repr(value))}.")
        # A count of nothing is a strategy that does nothing, unless its field says otherwise; a share may be 0.
        least = 0 if float in kinds else int(leasts[key])
        if isinstance(value, (int, float)) and not least <= value < 1_000_000:
            raise UsageError(
                f"Strategy {found.name!r} takes {key} from {least} to 1,000,000, not {shortened(str(value))}."
            )
        # 1 and 1.0 are the same parameter, and so are 0.0 and -0.0, so they must hash alike.
        checked[key] = float(value) + 0.0 if isinstance(value, (int, float)) and float in kinds else value
    return found.make(**checked)


def is_oracle(instance: Any) -> bool:
    """Whether an instance belongs to a strategy that is told whether answers are right."""
    return any(known.oracle and known.make is type(instance) for known in _REGISTRY.values())


def parameters(instance: Any) -> str:
    """Canonical JSON of all parameters of an instance, defaults included."""
    return canonical(dataclasses.asdict(instance))
