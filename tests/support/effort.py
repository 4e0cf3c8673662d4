"""How thoroughly hypothesis looks: HYPOTHESIS_PROFILE is quick (a first failure is enough), default or thorough."""

from __future__ import annotations

import os
from typing import NamedTuple

from hypothesis import HealthCheck, Phase, settings

_SLOW = (HealthCheck.too_slow, HealthCheck.data_too_large)


class Profile(NamedTuple):
    """How many examples a test tries."""

    examples: int
    """Where the test names no number of its own."""
    share: float
    """Of the number it names."""


PROFILES = {"quick": Profile(15, 0.2), "default": Profile(15, 0.2), "thorough": Profile(1000, 10.0)}
_CHOSEN = os.environ.get("HYPOTHESIS_PROFILE", "default")


def load() -> None:
    """Register the profiles and take the chosen one; KeyError for a name there is not."""
    settings.register_profile(
        "quick",
        max_examples=PROFILES["quick"].examples,
        deadline=None,
        suppress_health_check=_SLOW,
        derandomize=True,
        phases=(Phase.explicit, Phase.generate),
    )
    for name in ("default", "thorough"):
        # The suite says the same of the same code twice; who looks thoroughly looks elsewhere each time.
        settings.register_profile(
            name,
            max_examples=PROFILES[name].examples,
            deadline=None,
            suppress_health_check=_SLOW,
            derandomize=name == "default",
        )
    settings.load_profile(_CHOSEN)


def cases(count: int) -> settings:
    """Hypothesis settings for this many examples, scaled by the chosen profile."""
    return settings(max_examples=max(5, int(count * PROFILES[_CHOSEN].share)), deadline=None)
