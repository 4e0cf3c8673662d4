"""Actors on a Ray cluster; Ray is imported here alone, and only by a run that is told to use it.

Every actor is one of Ray's, spread over the nodes, without restarts and without retries: what a lost call may have cost
is for the run's journal to say. They reserve no core, as they wait for replies more than they compute, so those of a
node that is lost fit on the others. Nothing is reported to Ray's makers, and no key goes through the cluster: each node
has its own in its environment, and the same version of this program.
"""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import suppress
from typing import Any

from engine.core.errors import ActorLost, RunError, UsageError
from engine.runs.actors.actor import Actor

log = logging.getLogger(__name__)

STORE_BYTES = 80 << 20
"""Of shared memory for a cluster of this machine alone; what actors say is small and never kept."""
_QUIET = {
    # No statistics to its makers.
    "RAY_USAGE_STATS_ENABLED": "0",
    # Or it would install the project anew for every actor of a run that `uv run` started.
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
}


class OnRay:
    """A cluster by its address; None: the one this machine or RAY_ADDRESS knows, else one of this machine alone."""

    def __init__(self, address: str | None, actors: int | None) -> None:
        self.name = f"the cluster at {address}" if address else "the Ray cluster"
        self._address = address
        self._actors = actors
        self._ray: Any = None

    async def open(self) -> int:
        """Connect, which takes seconds; as many actors as were asked for, else one for each core of the cluster."""
        try:
            self._ray = await asyncio.to_thread(self._connected)
            cores = int((await asyncio.to_thread(self._ray.cluster_resources)).get("CPU", 1))
        except ImportError as error:
            if getattr(error, "name", None) not in ("ray", "grpc"):
                raise
            raise UsageError('Ray is not installed; `pip install "budgetscope[ray]"` brings it.') from None
        except Exception as error:
            # Whatever it raises: its own errors, those of gRPC, and plain Exceptions.
            log.exception("no cluster")
            said = " ".join(str(error).split()).rstrip(".")[:200]
            raise RunError(f"{self.name[0].upper()}{self.name[1:]} cannot be reached or started: {said}.") from error
        return self._actors or max(1, cores)

    def _connected(self) -> Any:
        for name, value in _QUIET.items():
            os.environ.setdefault(name, value)
        import ray

        # It has no say on a run's terminal; what goes wrong is raised.
        logging.getLogger("ray").setLevel(logging.CRITICAL)
        quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR, "configure_logging": False}
        if self._address:
            ray.init(self._address, **quiet)
            return ray
        try:
            ray.init("auto", **quiet)
        except ConnectionError:
            if os.environ.get("RAY_ADDRESS"):
                raise
            # None is running: one of our own, which ends with this process.
            ray.init("local", include_dashboard=False, object_store_memory=STORE_BYTES, **quiet)
        return ray

    async def hire(self) -> RaySeat:
        """One more actor. Raises ActorLost where the cluster gives none."""
        kind = self._ray.remote(Actor).options(
            num_cpus=0, max_restarts=0, max_task_retries=0, scheduling_strategy="SPREAD", max_concurrency=1_000_000
        )
        try:
            return RaySeat(self._ray, await asyncio.to_thread(kind.remote))
        except Exception as error:
            raise ActorLost(_said(error)) from error

    async def close(self) -> None:
        """Leave the cluster; one of our own ends with that."""
        if self._ray is not None:
            ray, self._ray = self._ray, None
            await asyncio.to_thread(ray.shutdown)


class RaySeat:
    """One of Ray's actors."""

    def __init__(self, ray: Any, handle: Any) -> None:
        self._ray = ray
        self._handle = handle

    async def open(self, setup: bytes) -> str | None:
        """See `Seat`."""
        return await self._answer(self._handle.open.remote(setup))  # type: ignore[no-any-return]

    def deliver(self, batch: bytes) -> None:
        """See `Seat`."""
        # Whether it is still there is what `collect` finds out.
        with suppress(Exception):
            self._handle.deliver.remote(batch)

    async def collect(self) -> bytes:
        """See `Seat`."""
        return await self._answer(self._handle.collect.remote())  # type: ignore[no-any-return]

    def end(self) -> None:
        """See `Seat`."""
        with suppress(Exception):
            self._ray.kill(self._handle, no_restart=True)

    async def _answer(self, reference: Any) -> Any:
        try:
            return await reference
        except asyncio.CancelledError:
            raise
        except Exception as error:
            # It died, its node cannot be reached, or the cluster is gone: for a run these are one.
            raise ActorLost(_said(error)) from error


def _said(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0] if lines else 'no reason told'}"[:300]
