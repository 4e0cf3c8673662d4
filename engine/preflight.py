"""What is checked before a run's first trial, so that it fails at once or not for that reason.

Owns the memory of what a run planned when it started. Calls no model.
"""

from __future__ import annotations

from engine import identity
from engine.errors import RunError
from engine.plan import Plan
from engine.status import RunDir


def same_as_before(directory: RunDir, planned: Plan) -> None:
    """A run is one plan: data that changed since it started would be mixed with what is stored. Raises RunError."""
    now = identity.digest("r1", sorted(spec.trial_id for spec in planned.specs))
    noted = directory.path / "plan"
    if not noted.exists():
        noted.write_text(now, encoding="utf-8")
    elif noted.read_text(encoding="utf-8") != now:
        raise RunError(
            f"The questions or strategies of run {directory.run_id} are not what they were when it started; put the "
            "data back, or start a new run."
        )


async def reach(planned: Plan) -> None:
    """Find out before the first trial whether an endpoint is not there at all. Raises RunError."""
    for model in planned.models.values():
        trouble = await model.probe()
        if trouble:
            raise RunError(trouble)
