"""In what ways a provider misbehaves, as one list that the suite and the bench of money walk.

A mode is a fault of the local provider that comes back with every reply. To join it: append a `Mode` with a name, the
`Fault`, and what is billed in tokens for one call of `asked` tokens after a prompt of `prompt` tokens (the truth that
the bench holds the run to). `late` modes begin after the first replies of a model were in order.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.support.faults import Fault


@dataclass(frozen=True)
class Mode:
    """One way to misbehave."""

    name: str
    fault: Fault


MODES: tuple[Mode, ...] = tuple(
    Mode(fault.kind if not fault.options else f"{fault.kind} {fault.options}", fault)
    for fault in (
        *(Fault(kind) for kind in ("huge_usage", "huge_reasoning", "huge_prompt", "zero_usage", "negative_usage")),
        *(Fault(kind) for kind in ("half_usage", "details", "over_cap", "cost", "finish", "filter", "refusal", "body")),
        Fault("cost", {"cost": "0.5"}),
        # Tried again for a while, so these take longest.
        *(Fault(kind) for kind in ("cut_body", "garbage", "bad_json", "empty_body", "page", "no_usage", "null_usage")),
        *(Fault(kind) for kind in ("500", "502", "503", "504", "524", "408", "499", "429", "400", "cut", "cut_head")),
    )
)
"""At least 24."""
