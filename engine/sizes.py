"""How large models are, for the energy they are figured to need: a few of our own, then ecologits' list where it is.

The list of an installed ecologits is read as plain JSON and never imported. Sizes of closed models in it are its
authors' guesses, mostly ranges, and stay ranges here. A model nobody knows has no size, which is not a small one.
"""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from engine.energy import PUE, Between, EnergyRange, Size, energy

_CARDS = "model card"
_OPEN: Mapping[str, tuple[float, float]] = {
    "smollm2-135m": (0.135, 0.135), "smollm2-360m": (0.362, 0.362), "smollm2-1.7b": (1.71, 1.71),
    "llama-3.2-1b-instruct": (1.24, 1.24), "llama-3.2-3b-instruct": (3.21, 3.21),
    "llama-3.1-8b-instruct": (8.03, 8.03), "llama-3.1-70b-instruct": (70.6, 70.6),
    "llama-3.3-70b-instruct": (70.6, 70.6), "qwen3-0.6b": (0.6, 0.6), "qwen3-8b": (8.2, 8.2), "qwen3-32b": (32.8, 32.8),
    "qwen3-30b-a3b": (3.3, 30.5), "qwen3-235b-a22b": (22.0, 235.0), "gpt-oss-20b": (3.6, 20.9),
    "gpt-oss-120b": (5.1, 116.8),
}  # fmt: skip
"""Billions of parameters, active and total, as their makers' model cards say; by the last part of the name."""
_PROVIDERS = {
    "anthropic": "anthropic", "openai": "openai", "azure": "openai", "gemini": "google_genai",
    "vertex_ai": "google_genai", "mistral": "mistralai", "cohere": "cohere", "cohere_chat": "cohere",
    "huggingface": "huggingface_hub",
}  # fmt: skip
"""What a provider in front of a name is called in ecologits' list."""
_PUES: Mapping[str, tuple[float, float]] = {
    "anthropic": (1.09, 1.14), "cohere": (1.09, 1.09), "google_genai": (1.09, 1.09), "huggingface_hub": (1.09, 1.14),
    "mistralai": (1.16, 1.16), "openai": (1.2, 1.2),
}  # fmt: skip
"""PUE per provider as ecologits 0.11.3 has it."""


def known_size(name: str) -> Size | None:
    """Size of a model by its name or identity; None: nobody says."""
    bare = name.partition("@")[0]
    own = _OPEN.get(bare.rsplit("/", 1)[-1].lower())
    return _listed(bare) if own is None else _open(*own)


def known_energy(names: Iterable[str], *, prefill_share: float = 0.0) -> dict[str, EnergyRange]:
    """Weights of those names whose size is known, for a lens; the energy of the others stays unknown."""
    sizes = ((name, known_size(name)) for name in names)
    return {name: energy(size, prefill_share=prefill_share) for name, size in sizes if size is not None}


def _open(active: float, total: float) -> Size:
    return Size(Between(active, active), Between(total, total), source=_CARDS)


def _listed(bare: str) -> Size | None:
    provider, _, rest = bare.partition("/")
    theirs = _PROVIDERS.get(provider)
    keys = (
        ((theirs, rest.lower()),) if theirs else (("huggingface_hub", rest.lower()), ("huggingface_hub", bare.lower()))
    )
    return next((found for key in keys if (found := _ecologits().get(key)) is not None), None)


@functools.cache
def _ecologits() -> Mapping[tuple[str | None, str], Size]:
    found = importlib.util.find_spec("ecologits")
    path = Path(found.origin).parent / "data" / "models.json" if found and found.origin else None
    if path is None or not path.is_file():
        return {}
    source = f"ecologits {importlib.metadata.version('ecologits')}"
    told = json.loads(path.read_text("utf-8"))
    sizes = {_key(row, "name"): _size(row, source) for row in told["models"]}
    return {**sizes, **{_key(row, "name"): sizes[_key(row, "alias")] for row in told["aliases"]}}


def _key(row: Mapping[str, Any], name: str) -> tuple[str | None, str]:
    return str(row["provider"]), str(row[name]).lower()


def _size(row: Mapping[str, Any], source: str) -> Size:
    parameters, speed = row["architecture"]["parameters"], row.get("deployment") or {}
    mixed = isinstance(parameters, dict) and "active" in parameters
    active, total = (parameters["active"], parameters["total"]) if mixed else (parameters, parameters)
    pue = _PUES.get(row["provider"], (PUE, PUE))
    return Size(_between(active), _between(total), speed.get("tps"), speed.get("ttft"), Between(*pue), source)


def _between(value: Any) -> Between:
    return Between(value["min"], value["max"]) if isinstance(value, dict) else Between(value, value)
