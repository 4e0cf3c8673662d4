"""Watt-hours and grams of CO2e as linear weights of the spend vector, so that they are chosen when looking.

Owns the linear form after ecologits (Rince & Banse 2025, JOSS, doi 10.21105/joss.07471), the sizes of models it needs
and the carbon intensity of grids. Measures nothing, imports no energy library, and calls nothing exact that is a model
of a data centre: these are estimates of the use phase, without embodied impacts, water or training.

The form, in Wh of one output token, for P billions of active parameters on G GPUs of 80 GB, at batch 64:

    gpu    = 1.16653e-6 * exp(-0.0112059 * 64) * P + 4.05293e-5
    server = (6.78509e-4 * P + 3.11931e-4 * 64 + 1.94737e-2) s / 3600 * 1200 W * G / 8 / 64
    token  = PUE * (server + G * gpu)

G is the power of two that holds 1.2 * total parameters * 2 bytes. Where ecologits knows the speed of a deployment, its
seconds per token replace the fitted ones, and its time to the first token becomes the weight of a call. Only in one
thing is it not the library's figure: that caps the server's seconds at the measured latency of the request, which
depends on load and is not linear. Constants are those of ecologits 0.11.3 (2026-10-14); a test holds the form to them.

What it leaves out: ecologits counts no energy for input tokens, so a strategy that re-sends long contexts looks cheaper
than it is (`prefill_share` states another share; there is no default but 0). It is flat below a few billions of
parameters: 0.135 and 7 differ by a tenth, since the fixed terms rule. A model on one's own laptop is figured as
if a data centre served it in batches of 64.

Sizes come from a few model cards, then from the list of an installed ecologits. A model nobody knows has no size, which
is not a small one.
"""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from engine.core.errors import UnknownName, UsageError
from engine.core.records import Spend

PWH_PER_WH = 10**12
PUE = 1.2
"""Power usage effectiveness of a data centre nobody said more about: energy drawn over energy computed with."""
SOURCE = "linear form after ecologits 0.11.3 (10.21105/joss.07471)"
GRID_SOURCE = "ecologits 0.11.3, electricity_mixes.json"
GRID_AS_OF = "2026-10-14"
"""Release date of the file the intensities were taken from."""
WORLD = "WOR"
GRID: Mapping[str, float] = {
    "ARG": 346.0,
    "AUS": 525.18,
    "AUT": 116.91,
    "BEL": 149.82,
    "BRA": 109.95,
    "CAN": 190.72,
    "CHE": 39.22,
    "CHN": 525.34,
    "CZE": 401.46,
    "DEU": 329.65,
    "DNK": 114.41,
    "EEE": 282.68,
    "ESP": 153.6,
    "FIN": 57.47,
    "FRA": 41.44,
    "GBR": 217.41,
    "IND": 670.13,
    "IRL": 256.54,
    "ISL": 27.82,
    "ISR": 492.69,
    "ITA": 284.78,
    "JPN": 477.26,
    "KOR": 417.06,
    "MEX": 474.02,
    "NLD": 253.56,
    "NOR": 28.11,
    "NZL": 92.76,
    "POL": 588.6,
    "PRT": 127.91,
    "SGP": 497.09,
    "SWE": 35.26,
    "TWN": 633.21,
    "USA": 384.4,
    WORLD: 458.29,
    "ZAF": 699.29,
}
"""Grams of CO2e per kWh drawn, by ISO 3166 code of the zone; WOR is the world, EEE Europe."""

# Fitted by ecologits to measured deployments: Wh of one GPU, then seconds of one output token, by billions of active
# parameters and batch. All digits are kept, so that our figures can be held to the library's by equality.
_GPU_SLOPE, _GPU_BATCH, _GPU_FLOOR = 1.1665273170451914e-06, -0.011205921025579175, 4.052928146734005e-05
_S_PER_SIZE, _S_PER_BATCH, _S_FLOOR = 0.0006785088094353663, 0.0003119310311688259, 0.019473717579473387
_BATCH, _SERVER_GPUS, _SERVER_W = 64, 8, 1200.0  # requests at a time, GPUs of a server, watts of it without them


@dataclass(frozen=True, slots=True)
class EnergyWeights:
    """What each call, input and output token of one model adds, in integer pico-Wh (1e-12 Wh)."""

    call_pwh: int = 0
    input_pwh: int = 0
    """Per input token, cached ones included."""
    output_pwh: int = 0
    """Per output token, reasoning included."""
    source: str = "user"
    assumed: bool = False
    """True: the size is a guess, or a range was averaged."""

    def pwh(self, spend: Spend) -> int:
        """Pico-Wh of a spend vector: linear, exact."""
        return spend.calls * self.call_pwh + spend.input_tokens * self.input_pwh + spend.output_tokens * self.output_pwh


@dataclass(frozen=True, slots=True)
class Between:
    """A number known as a range; both ends equal where it is known."""

    low: float
    high: float

    @property
    def known(self) -> bool:
        """Whether the ends meet."""
        return self.low == self.high


@dataclass(frozen=True, slots=True)
class Size:
    """A model in billions of parameters; ranges where its maker does not say."""

    active: Between
    """Parameters one token passes through."""
    total: Between
    """Parameters held in memory; equal to `active` unless experts are mixed."""
    tokens_per_s: float | None = None
    """Speed of the deployment; None: fitted from the size."""
    first_token_s: float | None = None
    """Time to the first token; None: not counted."""
    pue: Between = Between(PUE, PUE)
    source: str = "given"


@dataclass(frozen=True, slots=True)
class EnergyRange:
    """Weights for the smallest and the largest size a model may have."""

    low: EnergyWeights
    high: EnergyWeights

    @property
    def middle(self) -> EnergyWeights:
        """Half-way between the ends, as a curve shows it; assumed unless the ends meet."""
        low, high = self.low, self.high
        names = ("call_pwh", "input_pwh", "output_pwh")
        middle = {name: (getattr(low, name) + getattr(high, name)) // 2 for name in names}
        return replace(low, **middle, assumed=low.assumed or low != high)

    def at(self, end: str) -> EnergyWeights:
        """The weights at 'low', 'middle' or 'high'; assumed unless the ends meet."""
        middle = self.middle
        return middle if end == "middle" else replace(self.low if end == "low" else self.high, assumed=middle.assumed)


def size(active: float, total: float | None = None, *, pue: float = PUE, source: str = "given") -> Size:
    """A model by its parameters in billions, both told or dense. Raises UsageError for what is no size."""
    whole = active if total is None else total
    if not 0 < active <= whole <= 100_000:
        raise UsageError(
            f"A model has more than 0 billions of active parameters and no fewer in all, not {active:g} of {whole:g}."
        )
    if not 1 <= pue <= 10:
        raise UsageError(f"PUE is what a data centre draws over what it computes with: 1 to 10, not {pue:g}.")
    return Size(Between(active, active), Between(whole, whole), pue=Between(pue, pue), source=source)


def energy(of: Size, *, prefill_share: float = 0.0) -> EnergyRange:
    """Weights of a model. `prefill_share`: energy of an input token as a share of an output token's.

    ecologits counts 0 for input, and so does the default here; a share above 0 is the caller's own statement and is
    named in `source`. Raises UsageError for a share outside 0 to 1.
    """
    if not 0 <= prefill_share <= 1:
        raise UsageError(
            f"The share of an input token is from 0 to 1 of an output token's energy, not {prefill_share}."
        )
    source = SOURCE + (f", an input token as {prefill_share:g} of an output token" if prefill_share else "")

    def end(active: float, total: float, pue: float) -> EnergyWeights:
        gpus = _gpus(total)
        seconds = 1 / of.tokens_per_s if of.tokens_per_s else _S_PER_SIZE * active + _S_PER_BATCH * _BATCH + _S_FLOOR
        gpu = _GPU_SLOPE * math.exp(_GPU_BATCH * _BATCH) * active + _GPU_FLOOR
        token = (_server_wh(seconds, gpus) + gpus * gpu) * pue
        # Waiting for the first token keeps the server busy and no GPU of its own: the weight of a call.
        call = _server_wh(of.first_token_s or 0.0, gpus) * pue
        return EnergyWeights(
            round(call * PWH_PER_WH), round(token * prefill_share * PWH_PER_WH), round(token * PWH_PER_WH), source
        )

    return EnergyRange(end(of.active.low, of.total.low, of.pue.low), end(of.active.high, of.total.high, of.pue.high))


def grams_co2e(wh: float, zone: str = WORLD) -> float:
    """CO2e of electricity drawn from a zone's grid. Raises UnknownName."""
    return wh / 1000 * intensity(zone)


def intensity(zone: str = WORLD) -> float:
    """Grams of CO2e per kWh of a zone; see `GRID`. Raises UnknownName."""
    if zone.upper() not in GRID:
        raise UnknownName("grid zone", zone, GRID)
    return GRID[zone.upper()]


def _server_wh(seconds: float, gpus: int) -> float:
    """Share of the server without its GPUs, over the requests of a batch."""
    return seconds / 3600 * _SERVER_W * gpus / _SERVER_GPUS / _BATCH


def _gpus(total: float) -> int:
    # Weights of 2 bytes and a fifth more for the rest, on GPUs of 80 GB; a deployment takes a power of two of them.
    needed = math.ceil(1.2 * total * 2 / 80)
    return 1 << (needed - 1).bit_length()


_OPEN: Mapping[str, tuple[float, float]] = {
    "smollm2-135m": (0.135, 0.135),
    "smollm2-360m": (0.362, 0.362),
    "smollm2-1.7b": (1.71, 1.71),
    "llama-3.2-1b-instruct": (1.24, 1.24),
    "llama-3.2-3b-instruct": (3.21, 3.21),
    "llama-3.1-8b-instruct": (8.03, 8.03),
    "llama-3.1-70b-instruct": (70.6, 70.6),
    "llama-3.3-70b-instruct": (70.6, 70.6),
    "qwen3-0.6b": (0.6, 0.6),
    "qwen3-8b": (8.2, 8.2),
    "qwen3-32b": (32.8, 32.8),
    "qwen3-30b-a3b": (3.3, 30.5),
    "qwen3-235b-a22b": (22.0, 235.0),
    "gpt-oss-20b": (3.6, 20.9),
    "gpt-oss-120b": (5.1, 116.8),
}
"""Billions of parameters, active and total, as their makers' model cards say; by the last part of the name."""
_PROVIDERS = {
    "anthropic": "anthropic",
    "openai": "openai",
    "azure": "openai",
    "gemini": "google_genai",
    "vertex_ai": "google_genai",
    "mistral": "mistralai",
    "cohere": "cohere",
    "cohere_chat": "cohere",
    "huggingface": "huggingface_hub",
}
"""What a provider in front of a name is called in ecologits' list."""
_PUES: Mapping[str, tuple[float, float]] = {
    "anthropic": (1.09, 1.14),
    "cohere": (1.09, 1.09),
    "google_genai": (1.09, 1.09),
    "huggingface_hub": (1.09, 1.14),
    "mistralai": (1.16, 1.16),
    "openai": (1.2, 1.2),
}
"""PUE per provider as ecologits 0.11.3 has it."""


def known_size(name: str) -> Size | None:
    """Size of a model by its name or identity; None: nobody says."""
    bare = name.partition("@")[0]
    if (card := _OPEN.get(bare.rsplit("/", 1)[-1].lower())) is not None:
        active, total = card
        return Size(Between(active, active), Between(total, total), source="model card")
    provider, _, rest = bare.partition("/")
    theirs = _PROVIDERS.get(provider)
    # Before a slash that is no provider's may stand the owner of a model on the hub, or somebody who serves one of it.
    keys = [(theirs, rest)] if theirs else [("huggingface_hub", rest), ("huggingface_hub", bare)]
    sizes = (_ecologits().get((listed_as, model.lower())) for listed_as, model in keys)
    return next((size for size in sizes if size is not None), None)


def known_energy(names: Iterable[str], *, prefill_share: float = 0.0) -> dict[str, EnergyRange]:
    """Weights of those names whose size is known, for a lens; the energy of the others stays unknown."""
    sizes = ((name, known_size(name)) for name in names)
    return {name: energy(size, prefill_share=prefill_share) for name, size in sizes if size is not None}


@functools.cache
def _ecologits() -> Mapping[tuple[str, str], Size]:
    """Sizes by provider and model in small letters. Those of closed models are its authors' guesses, mostly ranges."""
    # Read as plain JSON and never imported: the package is there to trace client libraries, which nobody asked for.
    spec = importlib.util.find_spec("ecologits")
    path = Path(spec.origin).parent / "data" / "models.json" if spec and spec.origin else None
    if path is None or not path.is_file():
        return {}
    source = f"ecologits {importlib.metadata.version('ecologits')}"
    listed = json.loads(path.read_text("utf-8"))
    sizes: dict[tuple[str, str], Size] = {}
    for row in listed["models"]:
        parameters, deployment = row["architecture"]["parameters"], row.get("deployment") or {}
        # A range is {min, max}; experts that are mixed are {active, total}, each a number or a range.
        mixed = isinstance(parameters, dict) and "active" in parameters
        active, total = (
            Between(value["min"], value["max"]) if isinstance(value, dict) else Between(value, value)
            for value in ((parameters["active"], parameters["total"]) if mixed else (parameters, parameters))
        )
        pue = Between(*_PUES.get(row["provider"], (PUE, PUE)))
        sizes[row["provider"], row["name"].lower()] = Size(
            active, total, deployment.get("tps"), deployment.get("ttft"), pue, source
        )
    models = dict(sizes)  # an alias means a model, never another alias
    for row in listed["aliases"]:
        sizes[row["provider"], row["name"].lower()] = models[row["provider"], row["alias"].lower()]
    return sizes
