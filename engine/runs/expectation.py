"""What a run was expected to spend, kept in its directory when it first starts and set against what it has spent."""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from engine.core import files
from engine.runs.run_dir import RunDir, Status, running_s
from engine.study.expected import Expectation, expected_spend
from engine.study.plan import Plan
from engine.study.prediction import Range

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Held:
    """What was expected of one quantity, and what came."""

    what: str
    """calls, tokens, pusd or seconds."""
    expected: Range
    actual: float
    inside: bool
    """Whether the interval holds what came."""


def noted(run: RunDir, plan: Plan) -> str | None:
    """What this run was expected to spend when it first started, as JSON; None: that could not be found out.

    Worked out once and kept in the run's directory. Never raises: no run fails for want of an estimate.
    """
    note = run.path / "estimate.json"
    try:
        kept = note.read_bytes() if note.exists() else b""
        with suppress(ValueError):
            if isinstance(json.loads(kept), dict):
                return kept.decode()
        # Lost or torn: worked out anew as long as nothing was sent, or it would leave out what is paid by now.
        if not run.journal.exists() or not run.journal.stat().st_size:
            spend = expected_spend(plan, run.db)
            lines = [
                {
                    "condition_id": line.condition.condition_id,
                    "trials": line.trials,
                    "stored": line.stored,
                    "seen": line.seen,
                    "expected": _ends(line.expected),
                }
                for line in spend.lines
            ]
            whole = {"expected": _ends(spend.expected), "worst": asdict(spend.worst), "stored": spend.stored}
            written = json.dumps({**whole, "lines": lines})
            files.replace(note, written)
            return written
    except Exception as error:
        log.warning("no estimate: %s", error)
    return None


def held(run: RunDir, now: Status) -> tuple[Held, ...]:
    """What the run was expected to spend against what it has; empty when nothing was expected.

    Compares what is bought: replays of earlier runs are in neither.
    """
    spent = now.spent
    actual = {"calls": float(spent.calls), "tokens": float(spent.tokens)}
    actual |= {"pusd": float(spent.pusd)} if now.priced else {}
    if (ran := running_s(now)) is not None:
        actual["seconds"] = ran
    try:
        total = json.loads((run.path / "estimate.json").read_bytes())["expected"] or {}
        ranges = {what: Range(*map(float, ends)) for what, ends in total.items() if ends is not None}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        # Whatever else lies there by this name says nothing, and a run is shown all the same.
        return ()
    return tuple(
        Held(what, ranges[what], value, ranges[what].holds(value)) for what, value in actual.items() if what in ranges
    )


def _ends(expected: Expectation | None) -> dict[str, Any] | None:
    """What the run will be billed, as [expected, low, high]."""
    if expected is None:
        return None
    ranges = {"calls": expected.bought_calls, "tokens": expected.bought_tokens, "pusd": expected.bought_pusd}
    ranges["seconds"] = expected.seconds
    return {what: r and [r.expected, r.low, r.high] for what, r in ranges.items()}
