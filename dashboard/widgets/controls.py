"""Widgets every view shares: choices tied to the URL, sentences, figures, tables, downloads, and the page's dress.

Names of tasks, models and strategies come from users, so every text reaches Streamlit's Markdown through `literal`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import streamlit as st

from dashboard import theme
from dashboard.data.access import closed, how_to_start
from dashboard.data.door import LOCKED
from dashboard.widgets import modules, url_state
from dashboard.widgets.url_state import Param
from engine.core import names
from engine.core import text as fmt
from engine.core.errors import BudgetscopeError
from engine.core.names import ALL_STUDIES

if TYPE_CHECKING:
    import plotly.graph_objects as go
    import polars as pl

    from dashboard.data.queries import Database
    from dashboard.figures.axes import Room

MOST_PILLS = 12  # More choices than this become a drop-down list.
SPENDS = {"output_tokens": "Output tokens", "total_tokens": "All tokens", "calls": "Calls"}
PRICES = """[[models]]
name = "provider/model"
prices = { input = 0.15, output = 0.60 }   # US dollars per million tokens"""
OPEN = "open"  # The parameter of a view that lists the names of its open folds.
MOST_WORDED = 20_000  # Cells of a table that are worded one by one; larger ones have their thousands separated.
WIDE = 16  # Columns that do not fit beside one another on a wide window.
_ESCAPED = str.maketrans({sign: f"\\{sign}" for sign in "\\`*_{}[]()<>#+-.!|~:$&^="})
_IN_WORD = re.compile(r"(?<=[^\W_])\\([-_])(?=[^\W_])|(?<=\d)\\(\.)(?=\d)")  # Signs that mean nothing there.
_FROM_RIGHT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]+(?: [\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]+)*")
_PARQUET = "application/vnd.apache.parquet"
Form = Callable[[str], str]
Query = Mapping[str, str | Sequence[str]]


def literal(text: str) -> str:
    """Text that Streamlit's Markdown shows letter by letter, on one line: no link, image, icon, colour or formula.

    Words written from the right stand by themselves, or the numbers after them would be read from the right as well."""
    line = fmt.linkless(" ".join(text.split()))
    escaped = _FROM_RIGHT.sub(lambda found: f"\u2068{found[0]}\u2069", line).translate(_ESCAPED)
    # A control's label is read out as it is written, so it has no more signs than it needs.
    return _IN_WORD.sub(lambda found: found[1] or found[2], escaped)


def heading(sentence: str) -> None:
    """Headline: what the page found, in one sentence."""
    st.markdown(f"# {literal(sentence)}")


def lead(what: str, rest: str) -> None:
    """The line under a heading: what to do, and what that gets; nothing where there is neither."""
    if what or rest:
        colon = ":" if rest else ""
        st.container(key="lead").markdown(f":primary[**{literal(what)}{colon}**] {literal(rest)}")


def say(sentence: str) -> None:
    """A sentence of running text; nothing for an empty one."""
    if sentence:
        st.markdown(literal(sentence))


def caption(*parts: str, capital: bool = False) -> None:
    """Caption in legible grey: the parts that are not empty, joined by dots; `capital` raises its first letter."""
    if text := " · ".join(part for part in parts if part):
        st.caption(literal(f"{text[:1].upper()}{text[1:]}" if capital else text))


def warn(problems: Sequence[str]) -> None:
    """Warnings about what a link asked for and could not have."""
    for problem in dict.fromkeys(problems):
        st.warning(literal(url_state.own(problem)), icon=":material/link_off:")


def fault(error: object, *, grave: bool = False) -> None:
    """What the engine refused, in its own words; what it quotes may have come by a link."""
    (st.error if grave else st.warning)(literal(url_state.own(str(error))))


def empty(why: str, what_next: str, command: str | None = None, way: tuple[str, str, Query] | None = None) -> None:
    """Empty state: why there is nothing to show, and what to do about it; `way`: a link, as `link_to` takes it."""
    heading(url_state.own(why).removesuffix("."))
    st.markdown(literal(what_next))
    if command:
        st.code(command, language=None)
    if way:
        with st.container(key="lone"):
            link_to(*way)


def database() -> Database | None:
    """The database that is shown; where it has no results the page says so and how to get some, and None comes back."""
    # The app imports this module before `ready` has loaded plotly and polars in one thread, and queries needs both.
    from dashboard.data import queries

    db = queries.state()
    if (why := queries.trouble(db)) is None:
        return db
    way: tuple[str, str, Query] | None = ("runs", "Start a run", {}) if closed() is None else None
    empty(why, f"{how_to_start()}, then reload this page:", "budgetscope run first", way)
    caption("The dashboard shows the database named by --db or BUDGETSCOPE_DB.")
    return None


def figures(what: Iterable[tuple[str, str, str]]) -> None:
    """Metrics in a row: what, how much, and an aside."""
    with st.container(horizontal=True, gap="large"):
        for name, value, aside in what:
            with st.container(width="content", gap=None):
                st.metric(name, value)
                caption(aside or "\u00a0")  # A space that is not empty keeps metrics without an aside as high.


def offering(params: Sequence[Param], choices: Mapping[str, tuple[str, ...]]) -> tuple[Param, ...]:
    """The parameters with the choices the data offers; one that must have a value and names none takes the first."""
    offered = []
    for param in params:
        if (own := choices.get(param.name)) is not None:
            default = param.default if param.many or param.default in own else own[0] if own else None
            param = replace(param, choices=own, default=default)
        offered.append(param)
    return tuple(offered)


def held(view: str, name: str, choices: Sequence[str]) -> int | None:
    """The place among its choices of what a control says; None: it says none of them.

    Controls in a popover tell it as their default too: a browser draws them by that when it opens the popover for the
    first time, and would send it back as theirs, for by then it has forgotten what the session told them."""
    value = url_state.value(view, name)
    return choices.index(value) if value in choices else None


def _literally(form: Form) -> Form:
    """Labels of pills are Markdown."""
    return lambda choice: literal(form(choice))


def choose(view: str, param: Param, label: str, form: Form = str) -> str | None:
    """Single choice among the parameter's choices. Nothing is drawn when there is no choice to make."""
    choices, key = list(param.choices or ()), url_state.key(view, param.name)
    at = held(view, param.name, choices) or 0
    if len(choices) > MOST_PILLS:
        st.selectbox(label, choices, at, key=key, format_func=form)
    elif len(choices) > 1:
        # Not to be unselected: a page without an axis has nothing to show.
        st.segmented_control(label, choices, default=choices[at], key=key, required=True, format_func=_literally(form))
    chosen = st.session_state.get(key)
    return None if chosen is None else str(chosen)


def select(view: str, param: Param, label: str, form: Form = str, width: int = 270) -> str:
    """Single choice from a list, its label before it; without a choice to make the list has one entry."""
    key = url_state.key(view, param.name)
    st.selectbox(label, list(param.choices or ()), key=key, format_func=form, width=width)
    return str(st.session_state.get(key))


def chosen(view: str, param: Param) -> tuple[str, ...]:
    """What is chosen of a parameter that takes many: all its choices where none is."""
    choices, picked = tuple(param.choices or ()), st.session_state.get(url_state.key(view, param.name)) or ()
    return tuple(choice for choice in choices if choice in picked) or choices


def choose_many(view: str, param: Param, label: str, form: Form = str) -> tuple[str, ...]:
    """Multiple choice among the parameter's choices; see `chosen` for what comes back."""
    choices, key = list(param.choices or ()), url_state.key(view, param.name)
    now = [choice for choice in choices if choice in (st.session_state.get(key) or ())]
    if len(choices) > MOST_PILLS:
        st.multiselect(label, choices, now, key=key, format_func=form, placeholder="All")
    elif len(choices) > 1:
        st.pills(label, choices, selection_mode="multi", default=now, key=key, format_func=_literally(form))
    return chosen(view, param)


@contextmanager
def filters(shown: int, total: int) -> Iterator[None]:
    """The popover of filters; it says how many settings they leave of how many."""
    with st.popover(f"Filter  :blue-badge[{fmt.count(shown)} of {fmt.count(total)}]", icon=":material/filter_list:"):
        yield


def task_form(param: Param) -> Form:
    """How the tasks among a parameter's choices are called."""
    called = names.tasks(param.choices or ())
    return lambda task: called.get(task, task)


def switch(view: str, param: Param, label: str, name: str) -> bool:
    """Switch, on or off; `param` has one choice and no default."""
    only = (param.choices or ("on",))[0]
    key, now = url_state.key(view, param.name), only if url_state.value(view, param.name) == only else None
    st.pills(label, [only], default=now, key=key, format_func=lambda _: literal(name))
    return bool(url_state.value(view, param.name) == only)


def studies(db: Database, *parts: str) -> tuple[str, ...]:
    """The studies to choose from; an address that names a condition in one of these parts, and no study, means one that
    asked for it."""
    from dashboard.data import queries

    query = url_state.current()
    # A cell is written condition~budget.
    named = [text.partition("~")[0] for part in parts for text in query.get(part, ())]
    choices = queries.study_choices(db)
    if named and "study" not in query and choices[0] != ALL_STUDIES:
        asked = [name for name, ids in queries.studies(db).items() if name in choices and {*named} <= {*ids}]
        choices = (*asked[:1], *(name for name in choices if name not in asked[:1]))
    return choices


def study_name(study: str) -> str:
    """How a study is called; see `names.study`."""
    return "All studies" if study == ALL_STUDIES else names.study(study)


def narrowed(view: str, param: Param, choices: Sequence[str]) -> Param:
    """The parameter with the choices that are left; one that went away gives way to the first of them, or is dropped
    where there may be many: nothing stays in force that cannot be seen."""
    key = url_state.key(view, param.name)
    if param.many:
        st.session_state[key] = [choice for choice in st.session_state.get(key) or () if choice in choices]
    elif st.session_state.get(key) not in choices:
        st.session_state[key] = next(iter(choices), None)
    return replace(param, choices=tuple(choices))


def keep(view: str, names: Iterable[str]) -> None:
    """Keep alive controls that are not drawn in this run, which Streamlit forgets; call it before anything is drawn."""
    for key in (url_state.key(view, name) for name in names):
        if key in st.session_state:
            # Setting it tells Streamlit that it is still wanted.
            st.session_state[key] = st.session_state[key]


@contextmanager
def fold(view: str, name: str, label: str) -> Iterator[bool]:
    """Expander whose state is in the address; yields whether it is open, which is when it is worth computing."""
    key, shown = f"{view}.fold.{name}", url_state.key(view, OPEN)
    # The address is what counts, so Back closes what was opened.
    st.session_state[key] = name in (st.session_state.get(shown) or ())

    def turned() -> None:
        others = [each for each in st.session_state.get(shown) or () if each != name]
        st.session_state[shown] = sorted([*others, name] if st.session_state[key] else others)

    with st.expander(label, key=key, on_change=turned) as part:
        yield bool(part.open)


def chart(figure: go.Figure, key: str, picture: str, alt: str, *, selects: str | None = None) -> None:
    """Figure without a tool bar but for the camera, out of sight, which makes a PNG named `picture` in the browser.

    A click on a point selects its cell in the view `selects`."""
    from dashboard.figures import CONFIG

    camera = {"format": "png", "scale": 2, "filename": f"budgetscope-{picture}"}
    bar = {"displayModeBar": "hover", "modeBarButtons": [["toImage"]], "displaylogo": False}
    config = {**CONFIG, **bar, "toImageButtonOptions": camera}
    # Figures bring their own inks: Streamlit's theme would lay another palette over them.
    if selects is None:
        st.plotly_chart(figure, theme=None, key=key, alt=alt, config=config)
    else:
        clicked = partial(url_state.select_clicked, selects, key)
        st.plotly_chart(figure, theme=None, key=key, alt=alt, config=config, on_select=clicked, selection_mode="points")


def table(
    frame: pl.DataFrame,
    key: str | None,
    *,
    formats: Mapping[str, Any] | None = None,
    tallest: int | None = 420,
    alt: str | None = None,
    row: int | None = None,
    pick: Callable[[int | None], None] | None = None,
) -> None:
    """Table whose numbers are said by `core.text`, the first column kept in view where not all fit.

    `formats`: columns shown otherwise; `tallest`: pixels, None: as Streamlit has it; `pick` is told the row that was
    chosen, None where it was let go, and `row` is the one chosen now."""
    modules.tables()
    columns: dict[str, Any] = {}
    for name in [name for name, kind in frame.schema.items() if kind.is_numeric() and frame[name].null_count()]:
        # The browser writes in a pale ink what is missing: where that is all there is, it is a word and not a gap.
        if frame[name].null_count() == frame.height:
            frame = frame.with_columns(frame[name].cast(str).fill_null(fmt.UNKNOWN))
            columns[name] = st.column_config.TextColumn(alignment="right")
    shown: Any = frame
    numeric = [name for name, kind in frame.schema.items() if kind.is_numeric()]
    # Only where the others are read by scrolling does it pay.
    pinned = frame.columns[:1] if narrow() or frame.width > WIDE else []
    columns |= {name: st.column_config.TextColumn(pinned=True) for name in pinned}
    # A pandas style costs a call a cell.
    if frame.height * frame.width > MOST_WORDED:
        columns |= {name: st.column_config.NumberColumn(format="localized") for name in numeric if name not in pinned}
    elif numeric or pinned:
        # A style says each number as sentences do, and the column still sorts by value.
        n = int(frame["Questions"].max() or 0) if "Questions" in frame.columns else None  # type: ignore[arg-type]
        words = {name: spoken(name, n) for name in numeric}
        # A pinned cell is drawn at 60%: of black or white that is 4.5:1 and more, of the text's ink it is not.
        ink = f"color: {theme.ink_on(theme.inks(dark()).background)}"
        shown = frame.to_pandas().style.format(words, na_rep=fmt.UNKNOWN).map(lambda _: ink, subset=pinned)
    more: dict[str, Any] = {}
    if pick is not None and key is not None:
        st.session_state[key] = {"selection": {"rows": [] if row is None else [row], "columns": [], "cells": []}}

        def picked() -> None:
            rows = cast("dict[str, Any]", st.session_state[key])["selection"]["rows"]
            pick(rows[0] if rows else None)

        more = {"on_select": picked, "selection_mode": "single-row"}
    if tallest is not None:  # Pixels of the head and of a row.
        more["height"] = min(38 + 35 * frame.height, tallest)
    # Without a placeholder the browser writes None, whatever a style says.
    more["placeholder"] = fmt.UNKNOWN
    st.dataframe(shown, key=key, hide_index=True, alt=alt, column_config=columns | dict(formats or {}), **more)


def settings_columns() -> dict[str, Any]:
    """How a table of settings shows accuracies, a bar and a number, and shares said in words: numbers all the same."""
    share = st.column_config.ProgressColumn(min_value=0, max_value=100, format="%.0f%%", width="small")
    return {
        "Accuracy": share,
        **dict.fromkeys(("Cost per 1,000", "Cut off", "No answer"), st.column_config.TextColumn(alignment="right")),
    }


def spoken(title: str, n: int | None = None) -> Callable[[Any], str]:
    """How the numbers of a table's column are said, its title having the unit: `core.text` without it.

    `n`: the most questions a row is of; None: shares are told to a tenth of a percent."""
    if title.endswith("%"):
        return lambda share: (fmt.percent(share / 100) if n is None else fmt.accuracy(share / 100, n)).removesuffix("%")
    if title.endswith("points"):
        return lambda share: fmt.points(share / 100, n).removesuffix(" points")
    if "$" in title:
        return lambda usd: fmt.money(usd).replace("$", "", 1)
    if title in ("p", "p, Holm"):
        return fmt.p_value
    return fmt.number


def way_down(view: str, frame: pl.DataFrame, point: str, noun: str) -> tuple[dict[str, Any], str] | None:
    """The row of `frame` and the budget of the point selected in a figure; where there is none the page says why."""
    condition, _, budget = str(url_state.value(view, "cell") or "").rpartition("~")
    rows = frame.filter(condition_id=condition).to_dicts()
    if url_state.value(view, "cell") and rows:
        return rows[0], budget
    gone = f"The selected {noun} is not among those shown."
    caption(gone if url_state.value(view, "cell") else f"Click {point} to read its answers.")
    return None


def copy_link(view: str, params: Sequence[Param], values: Mapping[str, object] | None = None) -> None:
    """The menu at the top right, with the link to what is on screen or to `values` alone."""
    with st.container(key="share"), st.popover("Share", icon=":material/link:"):
        _link(view, url_state.address(view, params, values))


def _link(view: str, address: str) -> None:
    """A link with a button that copies it; also as text, for a browser that lets nobody copy."""
    st.components.v2.component("budgetscope_copy", html="<button>Copy link</button>", css=_COPY_LOOK, js=_COPY)(
        key=f"{view}.copy", data={"link": address}
    )
    st.code(address, language=None, wrap_lines=True)


def link_to(page: str, label: str, query: Query, icon: str | None = ":material/arrow_forward:") -> None:
    """A link to another page of the dashboard, left out as long as that page does not exist."""
    path = f"views/{page}.py"
    if (Path(__file__).parents[1] / path).exists():
        parts = {name: value if isinstance(value, str) else [*value] for name, value in query.items()}
        st.page_link(path, label=literal(label), icon=icon, query_params=parts)


def downloads(
    name: str,
    frame: pl.DataFrame | Callable[[], pl.DataFrame] | None,
    params: Sequence[Param] | None = None,
    figure: Callable[[], go.Figure] | None = None,
    title: str = "",
    text: str = "",
    chart: str | None = None,
    more: Mapping[str, tuple[str, pl.DataFrame, str | None]] = {},
) -> None:
    """Copy link, table as CSV and Parquet, figure as HTML, PNG and SVG: in a row, each where it is given.

    `params` are those of the view `name`; title and text stand above the figure; `chart` is the key under which the
    figure is drawn. Files are made when asked for, and a frame where it is given as a function; pictures by the
    browser. `more`: by label what else there is, each name, frame and chart in a menu at the end of the row."""
    from dashboard.text import exports

    files: list[tuple[str, str, str, Callable[[], bytes]]] = []
    if frame is not None:
        made = frame if callable(frame) else lambda: frame
        files += [("CSV", "csv", "text/csv", lambda: exports.as_csv(made()))]
        files += [("Parquet", "parquet", _PARQUET, lambda: exports.as_parquet(made()))]
    if figure is not None:
        files += [("Figure (HTML)", "html", "text/html", lambda: as_html(figure(), title, text).encode())]
    if params is not None:
        copy_link(name, params)
    with st.container(horizontal=True, horizontal_alignment="right", vertical_alignment="center"):
        _save(name, files)
        if chart is not None:
            pictures(chart, name)
        for label, (own, table, drawn) in more.items():
            with st.popover(label, icon=":material/download:"):
                downloads(own, table, chart=drawn)


_PICTURES = """
export default function ({ parentElement, data }) {
  for (const button of parentElement.querySelectorAll("button")) {
    button.onclick = () => {
      const figure = document.querySelector(`.st-key-${data.chart} .js-plotly-plot`);
      const camera = figure && figure.querySelector(".modebar-btn");
      if (!camera) return;
      const own = figure._context.toImageButtonOptions;
      figure._context.toImageButtonOptions = { ...own, format: button.value, filename: data.file };
      camera.click();
      figure._context.toImageButtonOptions = own;
    };
  }
}
"""
_PICTURE_BUTTONS = """<div><button type="button" value="png">Figure (PNG)</button>
<button type="button" value="svg">Figure (SVG)</button></div>"""
_PICTURE_STYLE = """div { display: flex; gap: 1rem; }
button { font: inherit; font-size: 14px; color: var(--st-text-color); background: var(--st-background-color);
  border: 1px solid var(--bs-edge); border-radius: 7px; padding: .4rem .75rem;
  min-height: 40px; cursor: pointer; }
button:hover, button:focus-visible { border-color: var(--st-primary-color); color: var(--st-primary-color); }"""


def pictures(chart: str, file: str) -> None:
    """Buttons that have the browser make a picture of the figure under the key `chart`, as its camera does."""
    mount = st.components.v2.component("budgetscope_pictures", html=_PICTURE_BUTTONS, css=_PICTURE_STYLE, js=_PICTURES)
    data = {"chart": re.sub(r"[^\w-]", "-", chart), "file": f"budgetscope-{file}"}
    mount(key=f"pictures.{chart}", data=data, width="content")


def share(
    name: str,
    frame: pl.DataFrame,
    params: Sequence[Param],
    page: Callable[[], str],
    freeze: Callable[[], str],
    chart: str,
) -> None:
    """The menu at the top right: the link to what is on screen, a snapshot of it, the view as one page, the table, the
    figure drawn under the key `chart`.

    `page` makes the page, `freeze` keeps a snapshot and returns its id; both work when they are asked."""
    from dashboard.text import exports

    with st.container(key="share"), st.popover("Share", icon=":material/link:"):
        _link(name, url_state.address(name, params))
        st.markdown("**Snapshot**")
        if (why := closed()) is None:
            if st.button("Freeze as snapshot", help="A short link to these numbers, for ever"):
                try:
                    st.session_state[f"{name}.frozen"] = freeze()
                except BudgetscopeError as error:
                    fault(error)
            # The link stays on screen for the runs after the click.
            if kept := st.session_state.get(f"{name}.frozen"):
                st.code(f"{url_state.root()}/snapshot?id={kept}", language=None, wrap_lines=True)
        else:
            caption(why)
        files: list[tuple[str, str, str, Callable[[], bytes]]] = [
            ("Save as one page", "html", "text/html", lambda: page().encode()),
            ("Table (CSV)", "csv", "text/csv", partial(exports.as_csv, frame)),
            ("Table (Parquet)", "parquet", _PARQUET, partial(exports.as_parquet, frame)),
        ]
        with st.container(horizontal=True, gap="small"):
            _save(name, files)
            pictures(chart, name)


def _save(name: str, files: Iterable[tuple[str, str, str, Callable[[], bytes]]]) -> None:
    for label, ending, mime, made in files:
        file = f"{name}.{ending}"
        st.download_button(label, made, file, mime, key=file, on_click="ignore", icon=":material/download:")


def as_html(figure: go.Figure, title: str, text: str) -> str:
    """A figure as a page of its own that needs no network."""
    from dashboard.text.exports import PICTURES, with_plotly

    drawn, inks = with_plotly({("saved", "wide"): figure}), theme.inks(dark())
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        '<body style="font-family:sans-serif;max-width:1120px;margin:2rem auto;'
        f'background:{inks.background};color:{inks.text}">'
        f"<h1 style='font-size:1.4rem'>{escape(title)}</h1><p>{escape(text)}</p>{drawn}{PICTURES}</body></html>"
    )


def short(model: str) -> str:
    """The part of a model name people say."""
    from dashboard.figures.lettering import short_model  # Brings plotly; see `database`.

    return short_model(model)


def dark() -> bool:
    """Whether the browser shows the dark theme."""
    return st.context.theme.type == "dark"


def room() -> Room:
    """What figures have room for; the browser says so once it has drawn the page."""
    from dashboard.figures.axes import ROOMS  # Brings numbers of figures only; see `database`.

    return ROOMS[min(int(st.session_state.get("narrow", 0)), 2)]


def narrow() -> bool:
    """Whether the window is too small for wide figures."""
    return bool(st.session_state.get("narrow", 0))


_COPY = """
export default function ({ data, parentElement }) {
  const button = parentElement.querySelector("button");
  button.onclick = async () => {
    try {
      await navigator.clipboard.writeText(data.link);
    } catch {
      // Without a secure address there is no clipboard to ask, and the old way still works.
      const field = document.createElement("textarea");
      field.value = data.link;
      document.body.append(field);
      field.select();
      document.execCommand("copy");
      field.remove();
    }
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy link"; }, 1500);
  };
}
"""
_COPY_LOOK = """
button {
  width: 100%; min-height: 36px; border: 0; border-radius: 7px; font: inherit; cursor: pointer;
  background: var(--st-primary-color); color: var(--st-background-color);
}
"""


def dress() -> None:
    """Style of every page: `style.css` with the inks of the theme."""
    inks = theme.inks(dark())
    colours = "".join(f"--bs-{name}:{ink};" for name, ink in asdict(inks).items() if isinstance(ink, str))
    style = Path(__file__).parents[1].joinpath("style.css").read_text("utf-8")
    wear(f"<style>:root{{{colours}}}{style}</style>")


def wear(*styles: str) -> None:
    """Put styles of ours on the page; they take no place.

    As Markdown it is drawn a second before `st.html` would be, which fetches a program first and waits for all others.
    """
    st.markdown("\n".join(style.strip() for style in styles), unsafe_allow_html=True)


def belongs(path: str) -> None:
    """Mark the page at `path` in the navigation: the one that is shown stands in no menu and is a part of that."""
    link = f'[data-testid="stTopNavLink"][href$="/{path}"]'
    ink = "color: var(--bs-text); font-weight: 600"
    wear(f"<style>{link} {{ background: var(--bs-tint); }} {link} span {{ {ink}; }}</style>")


def door() -> None:
    """Say why nothing can be started here, with the way to the token where one would help."""
    if (why := closed()) is None:
        return
    st.info(literal(why), icon=":material/lock:")
    if why == LOCKED:
        st.html('<a href="/login" target="_self">Enter the launch token</a>')
