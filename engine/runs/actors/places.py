"""Where actors can live: what a place is, and the places by the word after `--on`.

A place moves bytes and says when an actor is gone; it reads nothing and tries nothing again.
"""

from __future__ import annotations

import re
from typing import Protocol

from engine.core.errors import UsageError, shortened

MOST = 1024
"""Actors of a run."""


class Seat(Protocol):
    """One actor, seen from the run."""

    async def open(self, setup: bytes) -> str | None:
        """`Actor.open`. Raises ActorLost."""

    def deliver(self, batch: bytes) -> None:
        """Say something to it, and wait for nothing; an actor that is gone hears nothing."""

    async def collect(self) -> bytes:
        """What it says, once it says something. Raises ActorLost as soon as it is gone."""

    def end(self) -> None:
        """Let it be gone, whatever it is doing; again does nothing."""


class Place(Protocol):
    """Somewhere actors can live."""

    name: str
    """As sentences name it."""

    async def open(self) -> int:
        """Get there; how many actors a run is to have. Raises UsageError or RunError."""

    async def hire(self) -> Seat:
        """Another actor. Raises ActorLost where there is none to be had."""

    async def close(self) -> None:
        """Leave; a second time does nothing."""


def place(on: str | None, actors: int | None = None) -> Place | None:
    """The place a word names: `ray` (the cluster there is, or one of this machine), or a cluster's `ray://HOST:PORT`.

    None of no word: the run tries its trials itself. `actors`: how many; None: one for each core there. Raises
    UsageError."""
    if on is None:
        if actors is not None:
            raise UsageError("--actors says how many actors --on has; add --on ray.")
        return None
    if actors is not None and not 1 <= actors <= MOST:
        raise UsageError(f"--actors takes 1 to {MOST:,}, not {actors:,}.")
    if not re.fullmatch(r"ray(://[A-Za-z0-9._\[\]:-]+:[0-9]{1,5})?", on):
        raise UsageError(f"--on takes ray, or the address of a cluster as ray://HOST:PORT, not {shortened(on)!r}.")
    # Here alone: it takes seconds to import, and is an extra.
    from engine.runs.actors.on_ray import OnRay

    return OnRay(None if on == "ray" else on, actors)
