"""The fold "Prices and energy" of a page: the controls of a `Looking`, tied to the page's address.

Owns how the parameters are called in a URL and how the number fields of many models become one of them; what the
choices mean is `lenses`. Reads no database.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import streamlit as st

from dashboard.data import lens
from dashboard.data.lens import DEAREST, ENDS, FACTORS, Looking, Models
from dashboard.widgets import controls, url_state
from dashboard.widgets.url_state import Param

TITLE = "Prices and energy"
PRICES = {"stored": "As stored", "today": "Today's list", "own": "My own"}
PARAMS = (
    Param("prices", "stored", tuple(PRICES)),
    Param("price", (), many=True),
    Param("whatif"),
    Param("times", "1", FACTORS),
    Param("cached", None, ("own",)),
    Param("zone"),
    Param("size", (), many=True),
    Param("end", "middle", tuple(ENDS)),
)
"""What a page with this fold has in its address besides its own; `price` and `size` say MODEL=NUMBER/NUMBER."""
SHOWN = 6
"""Models that get number fields."""
FIELDS = {
    "price": ("Input, $ per million tokens", "Output, $ per million tokens"),
    "size": ("Active parameters, billions", "Parameters in all, billions"),
}
UNSAID = {"price": "as stored", "size": "unknown"}
NO_ENERGY = (
    "Energy is not figured yet",
    f'Open "{TITLE}" above and choose the grid the electricity is from; energy is then estimated from the '
    "size of each model.",
)
NO_SIZE = (
    "No size is known for these models, so their energy is unknown",
    f'Open "{TITLE}" above and enter their active and total parameters in billions.',
)
NO_PRICE = f'Open "{TITLE}" above and enter your own, or give prices in the study file and run it:'
ZONES = {
    "ARG": "Argentina",
    "AUS": "Australia",
    "AUT": "Austria",
    "BEL": "Belgium",
    "BRA": "Brazil",
    "CAN": "Canada",
    "CHE": "Switzerland",
    "CHN": "China",
    "CZE": "Czechia",
    "DEU": "Germany",
    "DNK": "Denmark",
    "EEE": "Europe",
    "ESP": "Spain",
    "FIN": "Finland",
    "FRA": "France",
    "GBR": "United Kingdom",
    "IND": "India",
    "IRL": "Ireland",
    "ISL": "Iceland",
    "ISR": "Israel",
    "ITA": "Italy",
    "JPN": "Japan",
    "KOR": "Korea",
    "MEX": "Mexico",
    "NLD": "Netherlands",
    "NOR": "Norway",
    "NZL": "New Zealand",
    "POL": "Poland",
    "PRT": "Portugal",
    "SGP": "Singapore",
    "SWE": "Sweden",
    "TWN": "Taiwan",
    "USA": "United States",
    "WOR": "World",
    "ZAF": "South Africa",
}


def params(models: Models) -> tuple[Param, ...]:
    """The parameters with what the data lets them be; nothing is chosen at the start."""
    offered = {"whatif": models.names, "zone": tuple(ZONES)}
    return tuple(replace(param, choices=offered.get(param.name, param.choices)) for param in PARAMS)


def draw(view: str, models: Models, shown: Sequence[str]) -> tuple[Looking, list[str]]:
    """The fold, what it asks for, and a sentence for each thing that cannot be had. `shown`: models on the page."""
    numbers, problems = _told(view, models)
    mine = [name for name in models.names if any(name in one for one in shown)]
    with st.expander(TITLE, icon=":material/tune:"):
        left, right = st.columns(2, gap="large")
        with left:
            _money(view, models, mine)
        with right:
            _energy(view, mine, tuple(numbers["size"]))
            if lens.ranged(_looking(view, numbers), mine):
                controls.choose(view, PARAMS[-1], "Of a range of sizes", ENDS.__getitem__)
    looking = _looking(view, numbers)
    return looking, [*problems, *lens.build(looking, models)[1]]


def missing(x: str, looking: Looking, why: str) -> None:
    """The empty state of an axis nothing is known on: what is missing and where it is entered."""
    if x == "usd":
        controls.empty(why, NO_PRICE, controls.PRICES)
    else:
        controls.empty(*(NO_ENERGY if looking.zone is None else NO_SIZE))


def _told(view: str, models: Models) -> tuple[dict[str, dict[str, tuple[float, float]]], list[str]]:
    """The numbers by model the address says; what it says wrongly is told once and forgotten."""
    found: dict[str, dict[str, tuple[float, float]]] = {}
    problems = []
    for name in FIELDS:
        key = url_state.key(view, name)
        said = list(st.session_state.get(key) or ())
        found[name], wrong = lens.read(said, models.names, sizes=name == "size")
        problems += wrong
        st.session_state[key] = _texts(found[name])
    return found, problems[: url_state.MOST_SAID]


def _texts(numbers: dict[str, tuple[float, float]]) -> list[str]:
    return [f"{model}={first:.10g}/{second:.10g}" for model, (first, second) in numbers.items()]


def _money(view: str, models: Models, mine: Sequence[str]) -> None:
    by = {param.name: param for param in PARAMS}
    prices = controls.choose(view, by["prices"], "Prices", PRICES.__getitem__)
    if prices == "own":
        _fields(view, "price", mine)
    st.selectbox(
        "What if one model's price were another",
        models.names,
        index=None,
        key=url_state.key(view, "whatif"),
        format_func=controls.short,
        placeholder="No model",
    )
    st.select_slider(
        "Its price times",
        FACTORS,
        key=url_state.key(view, "times"),
        format_func=lambda factor: f"{factor}×",
        disabled=st.session_state.get(url_state.key(view, "whatif")) is None,
    )
    controls.switch(view, by["cached"], "Cached input", "At its own price")


def _energy(view: str, mine: Sequence[str], given: Sequence[str]) -> None:
    st.selectbox(
        "Electricity from the grid of",
        sorted(ZONES, key=ZONES.__getitem__),
        index=None,
        key=url_state.key(view, "zone"),
        format_func=lambda zone: f"{ZONES[zone]} ({zone})",
        placeholder="Off: energy is not figured",
    )
    if st.session_state.get(url_state.key(view, "zone")) is None:
        controls.caption("With a grid chosen, energy in Wh is an axis, and CO2e stands beside it in the table.")
        return
    unsaid = lens.unknown_sizes(mine)
    sized = [name for name in mine if name in unsaid or name in given]
    known = ", ".join(controls.short(name) for name in mine if name not in unsaid)
    controls.caption(f"The size is known of {known}." if known else "")
    controls.caption("The size of these is unknown, or known as a range:" if sized else "")
    _fields(view, "size", sized)


def _fields(view: str, name: str, mine: Sequence[str]) -> None:
    """Two numbers a model; both are needed, so that half an entry says nothing yet."""
    _fill(view, name)
    for model in mine[:SHOWN]:
        st.markdown(controls.literal(controls.short(model)))
        for end, (column, label) in enumerate(zip(st.columns(2, gap="small"), FIELDS[name], strict=True)):
            column.number_input(
                label,
                0.0,
                DEAREST,
                None,
                format="%g",
                key=_field(view, name, model, end),
                on_change=partial(_entered, view, name, model),
                placeholder=UNSAID[name],
            )
    if len(mine) > SHOWN:
        controls.caption(f"Choose models above to reach the other {len(mine) - SHOWN}.")


def _field(view: str, name: str, model: str, end: int) -> str:
    return f"{view}.{name}.{model}.{end}"


def _fill(view: str, name: str) -> None:
    """Put what the address says into the fields, unless they said it themselves."""
    said = list(st.session_state[url_state.key(view, name)])
    filled = f"{view}.{name}.filled"
    ours = st.session_state.get(filled) == said
    st.session_state[filled] = said
    for text in said:
        model, _, numbers = text.rpartition("=")
        for end, number in enumerate(numbers.split("/")):
            field = _field(view, name, model, end)
            if not ours or field not in st.session_state:  # Streamlit forgets fields that were not drawn for a run.
                st.session_state[field] = float(number)


def _entered(view: str, name: str, model: str) -> None:
    """A field changed: both numbers there, or the model is left out; one size alone is that of a dense model."""
    key = url_state.key(view, name)
    first, second = (st.session_state.get(_field(view, name, model, end)) for end in (0, 1))
    second = first if name == "size" and second is None else second
    kept = [text for text in st.session_state.get(key) or () if text.rpartition("=")[0] != model]
    if first is not None and second is not None and (name == "price" or 0 < first <= second):
        kept.append(f"{model}={first:.10g}/{second:.10g}")
    st.session_state[key] = kept
    st.session_state[f"{view}.{name}.filled"] = kept


def _looking(view: str, numbers: dict[str, dict[str, tuple[float, float]]]) -> Looking:
    said = {param.name: st.session_state.get(url_state.key(view, param.name)) for param in PARAMS}
    own, sizes = (tuple((model, *pair) for model, pair in numbers[name].items()) for name in ("price", "size"))
    return Looking(
        str(said["prices"]),
        own if said["prices"] == "own" else (),
        said["whatif"],
        str(said["times"]),
        said["cached"] == "own",
        said["zone"],
        sizes if said["zone"] else (),
        str(said["end"] or "middle"),
    )
