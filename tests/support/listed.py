"""A model of litellm's list by what it can do, for tests that need some model and not one that may leave the list."""

from __future__ import annotations

from engine.models import prices


def listed_model(prefix: str, *, reasons: bool | None = None, continues: bool | None = None) -> str:
    """The first chat model under a provider's prefix; `reasons`, `continues`: one that does, or does not."""
    for name, entry in prices._map().items():
        fits = entry.get("mode") == "chat" and reasons in (None, bool(entry.get("supports_reasoning")))
        if name.startswith(prefix) and fits and continues in (None, bool(entry.get("supports_assistant_prefill"))):
            return name
    raise AssertionError(f"litellm lists no such model of {prefix}")
