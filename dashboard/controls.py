"""Widgets every view shares: choices tied to the URL, sentences, empty states, copy link, downloads, the page's dress.

Owns how text reaches Streamlit: names of tasks, models and strategies come from users, so every label goes through
`literal`. Reads no database and draws no figure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from dashboard import links, theme
from dashboard.links import Param

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

MOST_PILLS = 12
"""More choices than this become a drop-down list."""
_MARKUP = "\\`*_{}[]()<>#+-.!|~:$&^="
Form = Callable[[str], str]

__all__ = [
    "caption", "choose", "choose_many", "copy_link", "dark", "download_figure", "download_table", "dress", "empty",
    "follow_theme", "heading", "link_to", "literal", "switch", "warn",
]  # fmt: skip


def literal(text: str) -> str:
    """Text that Streamlit's Markdown shows letter by letter, on one line: no link, image, icon, colour or formula."""
    line = " ".join(text.split())
    return "".join(f"\\{letter}" if letter in _MARKUP else letter for letter in line)


def heading(sentence: str) -> None:
    """What the page found, in one sentence."""
    st.markdown(f"#### {literal(sentence)}")


def caption(sentence: str) -> None:
    """What the marks mean and what n is; legible grey."""
    st.caption(literal(sentence))


def warn(problems: Sequence[str]) -> None:
    """What a link asked for and could not have."""
    for problem in problems:
        st.warning(literal(problem), icon=":material/link_off:")


def empty(why: str, what_next: str, command: str | None = None) -> None:
    """A page without data: why there is none, and what to do about it."""
    st.markdown(f"#### {literal(why)}")
    st.markdown(literal(what_next))
    if command:
        st.code(command, language=None)


def choose(view: str, param: Param, label: str, form: Form = str) -> str | None:
    """Exactly one of the parameter's choices. Nothing is drawn when there is no choice to make."""
    choices, key = list(param.choices or ()), links.key(view, param.name)
    if len(choices) > MOST_PILLS:
        st.selectbox(label, choices, key=key, format_func=form)
    elif len(choices) > 1:
        st.segmented_control(
            label, choices, key=key, required=True, format_func=lambda choice: literal(form(choice))
        )
    chosen = st.session_state.get(key)
    return None if chosen is None else str(chosen)


def choose_many(view: str, param: Param, label: str, form: Form = str) -> tuple[str, ...]:
    """Any of the parameter's choices; none chosen means all, which is what comes back then."""
    choices, key = list(param.choices or ()), links.key(view, param.name)
    if len(choices) > MOST_PILLS:
        st.multiselect(label, choices, key=key, format_func=form, placeholder="All")
    elif len(choices) > 1:
        st.pills(
            label, choices, selection_mode="multi", key=key, format_func=lambda choice: literal(form(choice))
        )
    chosen = st.session_state.get(key) or ()
    return tuple(choice for choice in choices if choice in chosen) or tuple(choices)


def switch(view: str, param: Param, label: str, name: str) -> bool:
    """A choice that is on or off; `param` has one choice and no default."""
    only = (param.choices or ("on",))[0]
    st.pills(label, [only], key=links.key(view, param.name), format_func=lambda _: literal(name))
    return bool(st.session_state.get(links.key(view, param.name)) == only)


def copy_link(view: str, params: Sequence[Param]) -> None:
    """The address of what is on screen, to be copied with or without the clipboard's permission."""
    with st.popover("Copy link", icon=":material/link:"):
        st.code(links.address(view, params), language=None, wrap_lines=True)


def link_to(page: str, label: str, query: Mapping[str, str]) -> None:
    """A link to another page of the dashboard, left out as long as that page does not exist."""
    if (Path(__file__).parent / "views" / f"{page}.py").exists():
        st.page_link(f"views/{page}.py", label=literal(label), icon=":material/arrow_forward:", query_params=dict(query))


def download_table(name: str, frame: pl.DataFrame) -> None:
    """The table as CSV and Parquet, made when asked for."""
    from dashboard import data

    files = (("CSV", "csv", "text/csv", data.as_csv), ("Parquet", "parquet", "application/octet-stream", data.as_parquet))
    for label, ending, mime, made in files:
        st.download_button(
            label, lambda made=made: made(frame), f"{name}.{ending}", mime, key=f"{name}.{ending}", on_click="ignore",
            icon=":material/download:",
        )  # fmt: skip


def download_figure(name: str, html: Callable[[], str]) -> None:
    """The figure as one HTML file that needs no network."""
    st.download_button(
        "Figure (HTML)", lambda: html().encode(), f"{name}.html", "text/html", key=f"{name}.html", on_click="ignore",
        icon=":material/download:",
    )  # fmt: skip


def dark() -> bool:
    """Whether the browser shows the dark theme."""
    return st.context.theme.type == "dark"


@st.fragment(run_every=2)
def follow_theme() -> None:
    """Redraw when the theme changed: Streamlit does not rerun a page for that, and figures carry their own inks."""
    now = st.context.theme.type
    if st.session_state.setdefault("theme", now) != now:
        st.session_state["theme"] = now
        st.rerun()


def dress() -> None:
    """Width, spacing and caption ink of every page."""
    st.html(f"<style>{_CSS.replace('MUTED', theme.inks(dark()).muted)}</style>")


_CSS = """
[data-testid="stMainBlockContainer"] { max-width: 1120px; padding: 3.6rem 1.25rem 4rem; }
[data-testid="stMainBlockContainer"] h4 { padding-bottom: .1rem; font-size: 1.4rem; }
[data-testid="stCaptionContainer"] p { color: MUTED; }
[data-testid="stVerticalBlock"] { gap: .7rem; }
"""
