"""Widgets every view shares: choices tied to the URL, sentences, empty states, copy link, downloads, the page's dress.

Owns how text reaches Streamlit: names of tasks, models and strategies come from users, so every label goes through
`literal`. Reads no database and draws no figure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from html import escape
from math import floor, log10
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from dashboard import theme
from dashboard.data.access import LOCKED, closed, unlock
from dashboard.widgets import url_state
from dashboard.widgets.url_state import Param

if TYPE_CHECKING:
    from collections.abc import Mapping

    import plotly.graph_objects as go
    import polars as pl

MOST_PILLS = 12
"""More choices than this become a drop-down list."""
PRICES = """[[models]]
name = "provider/model"
prices = { input = 0.15, output = 0.60 }   # US dollars per million tokens"""
"""How a study file states a price."""
_MARKUP = "\\`*_{}[]()<>#+-.!|~:$&^="
Form = Callable[[str], str]


def literal(text: str) -> str:
    """Text that Streamlit's Markdown shows letter by letter, on one line: no link, image, icon, colour or formula."""
    line = " ".join(text.split())
    return "".join(f"\\{letter}" if letter in _MARKUP else letter for letter in line)


def heading(sentence: str) -> None:
    """What the page found, in one sentence."""
    st.markdown(f"#### {literal(sentence)}")


def say(sentence: str) -> None:
    """A sentence of running text; nothing for an empty one."""
    if sentence:
        st.markdown(literal(sentence))


def caption(sentence: str) -> None:
    """What the marks mean and what n is; legible grey."""
    if sentence:
        st.caption(literal(sentence))


def warn(problems: Sequence[str]) -> None:
    """What a link asked for and could not have."""
    for problem in problems:
        st.warning(literal(problem), icon=":material/link_off:")


def empty(why: str, what_next: str, command: str | None = None) -> None:
    """Nothing to show: why, and what to do about it."""
    st.markdown(f"#### {literal(why)}")
    st.markdown(literal(what_next))
    if command:
        st.code(command, language=None)


def nothing(why: str) -> None:
    """A database without results: why, and how to get some."""
    from dashboard.data.access import how_to_start

    empty(why, f"{how_to_start()}, then reload this page:", "budgetscope run examples/first.toml")
    caption("The dashboard shows the database named by --db or BUDGETSCOPE_DB.")


def offering(params: Sequence[Param], choices: Mapping[str, tuple[str, ...]]) -> tuple[Param, ...]:
    """The parameters with the choices the data offers; one that must have a value and names none takes the first."""
    return tuple(_offering(param, choices.get(param.name)) for param in params)


def _offering(param: Param, choices: tuple[str, ...] | None) -> Param:
    if choices is None:
        return param
    default = param.default if param.many or param.default in choices else choices[0] if choices else None
    return replace(param, choices=choices, default=default)


def choose(view: str, param: Param, label: str, form: Form = str) -> str | None:
    """Exactly one of the parameter's choices. Nothing is drawn when there is no choice to make."""
    choices, key = list(param.choices or ()), url_state.key(view, param.name)
    if len(choices) > MOST_PILLS:
        st.selectbox(label, choices, key=key, format_func=form)
    elif len(choices) > 1:
        st.segmented_control(label, choices, key=key, required=True, format_func=lambda choice: literal(form(choice)))
    chosen = st.session_state.get(key)
    return None if chosen is None else str(chosen)


def choose_many(view: str, param: Param, label: str, form: Form = str) -> tuple[str, ...]:
    """Any of the parameter's choices; none chosen means all, which is what comes back then."""
    choices, key = list(param.choices or ()), url_state.key(view, param.name)
    if len(choices) > MOST_PILLS:
        st.multiselect(label, choices, key=key, format_func=form, placeholder="All")
    elif len(choices) > 1:
        st.pills(label, choices, selection_mode="multi", key=key, format_func=lambda choice: literal(form(choice)))
    chosen = st.session_state.get(key) or ()
    return tuple(choice for choice in choices if choice in chosen) or tuple(choices)


def switch(view: str, param: Param, label: str, name: str) -> bool:
    """A choice that is on or off; `param` has one choice and no default."""
    only = (param.choices or ("on",))[0]
    st.pills(label, [only], key=url_state.key(view, param.name), format_func=lambda _: literal(name))
    return bool(st.session_state.get(url_state.key(view, param.name)) == only)


def copy_link(view: str, params: Sequence[Param], values: Mapping[str, object] | None = None) -> None:
    """The address of what is on screen, or of `values`, to be copied with or without the clipboard's permission."""
    with st.popover("Copy link", icon=":material/link:"):
        st.code(url_state.address(view, params, values), language=None, wrap_lines=True)


def link_to(page: str, label: str, query: Mapping[str, str]) -> None:
    """A link to another page of the dashboard, left out as long as that page does not exist."""
    path = f"views/{page}.py"
    if (Path(__file__).parents[1] / path).exists():
        st.page_link(path, label=literal(label), icon=":material/arrow_forward:", query_params=dict(query))


def download_table(name: str, frame: pl.DataFrame) -> None:
    """The table as CSV and Parquet, made when asked for."""
    from dashboard.text import exports

    parquet = ("Parquet", "parquet", "application/vnd.apache.parquet", exports.as_parquet)
    files = (("CSV", "csv", "text/csv", exports.as_csv), parquet)
    for label, ending, mime, made in files:
        st.download_button(
            label,
            partial(made, frame),
            f"{name}.{ending}",
            mime,
            key=f"{name}.{ending}",
            on_click="ignore",
            icon=":material/download:",
        )


def download_figure(name: str, html: Callable[[], str]) -> None:
    """The figure as one HTML file that needs no network."""
    st.download_button(
        "Figure (HTML)",
        lambda: html().encode(),
        f"{name}.html",
        "text/html",
        key=f"{name}.html",
        on_click="ignore",
        icon=":material/download:",
    )


def as_html(figure: go.Figure, title: str, text: str) -> str:
    """A figure as a page of its own that needs no network."""
    body = figure.to_html(full_html=False, include_plotlyjs=True, config={"displayModeBar": False, "responsive": True})
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<body style="font-family:sans-serif;max-width:1120px;margin:2rem auto;{_paper()}">'
        f"<h1 style='font-size:1.4rem'>{escape(title)}</h1><p>{escape(text)}</p>{body}</body></html>"
    )


def figure_config(name: str) -> dict[str, Any]:
    """Plotly's settings: no tool bar but the camera, which makes a PNG in the browser."""
    from dashboard.figures import CONFIG

    camera = {"format": "png", "scale": 2, "filename": f"budgetscope-{name}"}
    return {
        **CONFIG,
        "displayModeBar": "hover",
        "modeBarButtons": [["toImage"]],
        "displaylogo": False,
        "toImageButtonOptions": camera,
    }


def columns(table: pl.DataFrame) -> dict[str, Any]:
    """How a table's columns are shown: numbers with thousands separated, the first column kept in view."""
    numbers = [name for name, kind in table.schema.items() if kind.is_numeric()]
    found: dict[str, Any] = {name: st.column_config.NumberColumn(format=_format(table[name])) for name in numbers}
    return {**found, table.columns[0]: st.column_config.TextColumn(pinned=True)} if table.columns else found


def _format(numbers: pl.Series) -> str:
    """Percentages to one decimal; else thousands separated, or three significant digits of the smallest number."""
    if numbers.name.endswith("%"):
        return "%.1f"
    known = [abs(float(number)) for number in numbers.drop_nulls() if number]
    if numbers.dtype.is_integer() or not known or max(known) >= 1000:
        return "localized"
    return f"%.{min(6, max(1, 2 - floor(log10(min(known)))))}f"


def short(model: str) -> str:
    """The part of a model name people say."""
    from dashboard.figures.lettering import short_model

    return short_model(model)


def ink() -> str:
    """The text colour of the theme on screen."""
    return theme.inks(dark()).text


def _paper() -> str:
    inks = theme.inks(dark())
    return f"background:{inks.background};color:{inks.text}"


def dark() -> bool:
    """Whether the browser shows the dark theme."""
    return st.context.theme.type == "dark"


_WATCH = """
export default function ({ data, setStateValue }) {
  const program = document.querySelector('script[type="module"][src*="/static/js/"]');
  if (data.ahead && program && !document.querySelector(`link[href$="${data.ahead}"]`)) {
    const link = document.createElement("link");
    Object.assign(link, { rel: "modulepreload", crossOrigin: "", href: new URL(data.ahead, program.src).href });
    document.head.append(link);
  }
  let narrow = data.narrow, ink = null;
  const look = () => {
    const now = window.innerWidth < 920, paper = getComputedStyle(document.querySelector(".stApp")).backgroundColor;
    if (now !== narrow) { narrow = now; setStateValue("narrow", now); }
    if (ink !== null && paper !== ink) setStateValue("paper", paper);
    ink = paper;
  };
  look();
  const timer = setInterval(look, 400);
  return () => clearInterval(timer);
}
"""


def watch_browser(*, charts: bool = False) -> None:
    """Draw again when the window becomes narrow or wide or the theme changes; Streamlit does not rerun for either.

    Figures carry their own inks. The browser looks for itself and speaks up only then: a quiet page costs nothing.
    With `charts` it fetches the program that draws them while the page is still being computed."""
    mount = st.components.v2.component("budgetscope_watch", js=_WATCH)
    heard: Callable[[], None] = lambda: None  # noqa: E731
    told = {"narrow": narrow(), "ahead": _chart_program() if charts else ""}
    seen = mount(
        key="browser",
        data=told,
        default={"narrow": narrow(), "paper": ""},
        on_narrow_change=heard,
        on_paper_change=heard,
    )
    st.session_state["narrow"] = bool(seen.narrow)


@lru_cache(maxsize=1)
def _chart_program() -> str:
    """File name of the part of Streamlit's browser program that draws figures, 4.7 MB; empty when there is no such."""
    folder = Path(st.__file__).parent / "static" / "static" / "js"
    return next((path.name for path in folder.glob("PlotlyChart.*.js")), "")


def narrow() -> bool:
    """Whether the window is too small for wide figures; the browser says so once it has drawn the page."""
    return bool(st.session_state.get("narrow", False))


def dress() -> None:
    """Width, spacing and caption ink of every page."""
    st.html(f"<style>{_CSS.replace('MUTED', theme.inks(dark()).muted)}</style>")


_CSS = """
[data-testid="stMainBlockContainer"] { max-width: 1120px; padding: 3.4rem 1.25rem 4rem; }
[data-testid="stMainBlockContainer"] h4 { padding: 0 0 .35rem; font-size: 1.4rem; }
[data-testid="stHeaderActionElements"] { display: none; }
[data-testid="stCaptionContainer"] { opacity: 1; }
[data-testid="stCaptionContainer"] p { color: MUTED; }
[data-testid="stMetricValue"] { font-size: 1.35rem; }
[data-testid="stHorizontalBlock"]:has([data-testid="stButtonGroup"]) { row-gap: .35rem; column-gap: 1.5rem; }
[data-testid="stColumn"] [data-testid="stVerticalBlock"]:has([data-testid="stMetric"]) { gap: 0; }
[data-testid="stButtonGroup"] { display: flex; align-items: center; gap: .6rem; }
[data-testid="stButtonGroup"] > label { margin: 0; min-height: 0; width: auto; }
[data-testid="stButtonGroup"] > label p { color: MUTED; white-space: nowrap; }
"""


TYPED, NOTE = "access.typed", "access.note"


def door() -> None:
    """Say why nothing can be started here, with a field for the token where one would help."""
    why = closed()
    if why is None:
        return
    st.info(literal(why), icon=":material/lock:")
    if why != LOCKED:
        return
    with st.form("access.door", border=False), st.container(horizontal=True, vertical_alignment="bottom"):
        st.text_input("Launch token", type="password", key=TYPED, max_chars=200, autocomplete="off", width=320)
        st.form_submit_button("Unlock", icon=":material/lock_open:", on_click=_try)
    if note := st.session_state.get(NOTE):
        st.warning(literal(note))


def _try() -> None:
    typed, st.session_state[TYPED] = st.session_state[TYPED], ""
    st.session_state[NOTE] = unlock(typed or "")
