"""How thoroughly hypothesis looks: HYPOTHESIS_PROFILE is quick (a first failure is enough), default or thorough."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, Phase, settings

# Pages are tested without a server; this is where theirs would listen.
os.environ.setdefault("STREAMLIT_SERVER_ADDRESS", "127.0.0.1")
_SLOW = (HealthCheck.too_slow, HealthCheck.data_too_large)
settings.register_profile(
    "quick",
    max_examples=15,
    deadline=None,
    suppress_health_check=_SLOW,
    derandomize=True,
    phases=(Phase.explicit, Phase.generate),
)
settings.register_profile("default", max_examples=100, deadline=None, suppress_health_check=_SLOW)
settings.register_profile("thorough", max_examples=1000, deadline=None, suppress_health_check=_SLOW)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))
