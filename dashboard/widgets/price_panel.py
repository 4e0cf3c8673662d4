"""The fold "Prices and energy" of a page: the controls of a `Looking`, tied to the page's address.

Owns how the parameters are called in a URL and how the number fields of many models become one of them; what the
choices mean is `lens`. Reads no database.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import streamlit as st

from dashboard.data import lens
from dashboard.data.lens import DEAREST, ENDS, FACTORS, Looking, Models
from dashboard.widgets import controls, url_state
from dashboard.widgets.url_state import Param

TITLE = "Prices and energy"
PRICES = {
    "stored": "As stored",
    "today": "Today's list",
    "batch": "Batch",
    "flex": "Flex",
    "priority": "Priority",
    "own": "My own",
}
CACHED = Param("cached", None, ("own",))
PARAMS = (
    Param("prices", "stored", tuple(PRICES)),
    Param("price", (), many=True),
    Param("whatif"),
    Param("times", "1", FACTORS),
    CACHED,
    Param("zone"),
    Param("size", (), many=True),
    Param("end", "middle", tuple(ENDS)),
)
"""What a page with this fold has in its address besides its own; `price` and `size` say MODEL=NUMBER/NUMBER."""
LISTED = (Param("prices", "stored", tuple(name for name in PRICES if name != "own")), *PARAMS[2:5])
"""Those of a page that has no fields for prices of one's own, and energy elsewhere."""
SHOWN = 6  # Models that get number fields.
FIELDS = {
    "price": ("Input, $ per million tokens", "Output, $ per million tokens"),
    "size": ("Active parameters, billions", "Parameters in all, billions"),
}
UNSAID = {"price": "as stored", "size": "unknown"}
_ZONES = """
ARG Argentina, AUS Australia, AUT Austria, BEL Belgium, BRA Brazil, CAN Canada, CHE Switzerland, CHN China,
CZE Czechia, DEU Germany, DNK Denmark, EEE Europe, ESP Spain, FIN Finland, FRA France, GBR United Kingdom,
IND India, IRL Ireland, ISL Iceland, ISR Israel, ITA Italy, JPN Japan, KOR Korea, MEX Mexico, NLD Netherlands,
NOR Norway, NZL New Zealand, POL Poland, PRT Portugal, SGP Singapore, SWE Sweden, TWN Taiwan, USA United States,
WOR World, ZAF South Africa"""
ZONES = dict(zone.strip().split(" ", 1) for zone in _ZONES.split(","))
Numbers = dict[str, tuple[float, float]]  # By model: prices of input and output, or active parameters and all.


def params(models: Models) -> tuple[Param, ...]:
    """The parameters with what the data lets them be; nothing is chosen at the start."""
    offered = {"whatif": models.names, "zone": tuple(ZONES)}
    return tuple(replace(param, choices=offered.get(param.name, param.choices)) for param in PARAMS)


def listed(models: Models) -> tuple[Param, ...]:
    """The parameters of `prices_of` with the models there are."""
    return tuple(replace(param, choices=models.names) if param.name == "whatif" else param for param in LISTED)


def draw(view: str, models: Models, shown: Sequence[str]) -> tuple[Looking, list[str]]:
    """The fold, what it asks for, and a sentence for each thing that cannot be had. `shown`: models on the page."""
    by, problems = {param.name: param for param in PARAMS}, list[str]()
    numbers: dict[str, Numbers] = {}
    for name in FIELDS:  # What the address says wrongly is told once and forgotten.
        texts = list(url_state.value(view, name) or ())
        numbers[name], wrong = lens.read(texts, models.names, sizes=name == "size")
        problems += wrong
        texts = [f"{model}={first:.10g}/{second:.10g}" for model, (first, second) in numbers[name].items()]
        st.session_state[url_state.key(view, name)] = texts
    own = [name for name in models.names if any(name in one for one in shown)]
    with st.expander(TITLE, icon=":material/tune:"):
        left, right = st.columns(2, gap="large")
        with left:
            if controls.choose(view, by["prices"], "Prices", PRICES.__getitem__) == "own":
                _fields(view, "price", own)
            _scaled(view, models)
        with right:
            zones = sorted(ZONES, key=ZONES.__getitem__)
            st.selectbox(
                "Electricity from the grid of",
                zones,
                index=controls.held(view, "zone", zones),
                key=url_state.key(view, "zone"),
                format_func=lambda zone: f"{ZONES[zone]} ({zone})",
                placeholder="Off: energy is not figured",
            )
            if url_state.value(view, "zone") is None:
                controls.caption("With a grid chosen, energy in Wh is an axis, and CO2e stands beside it in the table.")
            else:
                unsaid = lens.unknown_sizes(own)
                sized = [name for name in own if name in unsaid or name in numbers["size"]]
                known = ", ".join(controls.short(name) for name in own if name not in unsaid)
                controls.caption(f"The size is known of {known}." if known else "")
                controls.caption("The size of these is unknown, or known as a range:" if sized else "")
                _fields(view, "size", sized)
            if lens.ranged(_looking(view, numbers), own):
                controls.choose(view, by["end"], "Of a range of sizes", ENDS.__getitem__)
    looking = _looking(view, numbers)  # Once more: the last choice belongs to it.
    return looking, [*problems[: url_state.MOST_SAID], *lens.build(looking, models)[1]]


def prices_of(view: str, models: Models) -> tuple[Looking, list[str]]:
    """The choice of prices alone, for a page that names them by `LISTED`: what it asks for, and what cannot be had."""
    controls.choose(view, LISTED[0], "Prices", PRICES.__getitem__)
    _scaled(view, models)
    values = {param.name: url_state.value(view, param.name) for param in LISTED}
    cached = values["cached"] == "own"
    looking = Looking(str(values["prices"]), (), values["whatif"], str(values["times"]), cached)
    return looking, lens.build(looking, models)[1]


def _scaled(view: str, models: Models) -> None:
    """What if one model's price were another, and what cached input costs."""
    st.selectbox(
        "What if one model's price were another",
        models.names,
        index=controls.held(view, "whatif", models.names),
        key=url_state.key(view, "whatif"),
        format_func=controls.short,
        placeholder="No model",
    )
    st.select_slider(
        "Its price times",
        FACTORS,
        FACTORS[controls.held(view, "times", FACTORS) or 0],
        key=url_state.key(view, "times"),
        format_func=lambda factor: f"{factor}×",
        disabled=url_state.value(view, "whatif") is None,
    )
    controls.switch(view, CACHED, "Cached input", "At its own price")


def missing(x: str, looking: Looking, why: str) -> None:
    """The empty state of an axis nothing is known on, in place of the figure: what is missing and where it is
    entered."""
    how = "enter your own, or give prices in the study file and run it:"
    if x != "usd" and looking.zone is None:
        why = "Energy is not figured yet"
        how = "choose the grid the electricity is from; energy is then estimated from the size of each model."
    elif x != "usd":
        why = "No size is known for these models, so their energy is unknown"
        how = "enter their active and total parameters in billions."
    # No heading: the page has its own.
    st.markdown(f'**{why}.** Open Filter above, there "{TITLE}", and {how}')
    if x == "usd":
        st.code(controls.PRICES, language=None)


def _looking(view: str, numbers: Mapping[str, Numbers]) -> Looking:
    values = {param.name: url_state.value(view, param.name) for param in PARAMS}
    own, sizes = (tuple((model, *pair) for model, pair in numbers[name].items()) for name in ("price", "size"))
    return Looking(
        str(values["prices"]),
        own if values["prices"] == "own" else (),
        values["whatif"],
        str(values["times"]),
        values["cached"] == "own",
        values["zone"],
        sizes if values["zone"] else (),
        str(values["end"] or "middle"),
    )


def _fields(view: str, name: str, models: Sequence[str]) -> None:
    """Two numbers a model; both are needed, so that half an entry says nothing yet."""
    texts, filled = list(url_state.value(view, name)), f"{view}.{name}.filled"
    ours, st.session_state[filled] = st.session_state.get(filled) == texts, texts
    for text in texts:  # What the address says, unless the fields said it themselves.
        model, _, numbers = text.rpartition("=")
        for end, number in enumerate(numbers.split("/")):
            field = f"{view}.{name}.{model}.{end}"
            if not ours or field not in st.session_state:  # Streamlit forgets fields that were not drawn for a run.
                st.session_state[field] = float(number)
    for model in models[:SHOWN]:
        st.markdown(controls.literal(controls.short(model)))
        for end, (column, label) in enumerate(zip(st.columns(2, gap="small"), FIELDS[name], strict=True)):
            column.number_input(
                label,
                0.0,
                DEAREST,
                st.session_state.get(f"{view}.{name}.{model}.{end}"),
                format="%g",
                key=f"{view}.{name}.{model}.{end}",
                on_change=partial(_entered, view, name, model),
                placeholder=UNSAID[name],
            )
    if len(models) > SHOWN:
        controls.caption(f"Choose models above to reach the other {len(models) - SHOWN}.")


def _entered(view: str, name: str, model: str) -> None:
    """A field changed: both numbers there, or the model is left out; one size alone is that of a dense model."""
    key = url_state.key(view, name)
    first, second = (st.session_state.get(f"{view}.{name}.{model}.{end}") for end in (0, 1))
    second = first if name == "size" and second is None else second
    texts = [text for text in st.session_state.get(key) or () if text.rpartition("=")[0] != model]
    if first is not None and second is not None and (name == "price" or 0 < first <= second):
        texts.append(f"{model}={first:.10g}/{second:.10g}")
    st.session_state[key] = st.session_state[f"{view}.{name}.filled"] = texts
