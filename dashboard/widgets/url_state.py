"""View state and the URL: the one place that knows how a page's controls are written into its address.

Each view declares its parameters. `load` lets the URL decide whenever it changed under us (a link, Back, Forward, a
hand-edited address) and explains what it could not use; `save` writes the state back once the widgets have spoken.
Defaults are left out, so that addresses stay short. Values are text and never evaluated.

Streamlit adds a history entry whenever a run changes the query, and reruns the page with the old query on Back and
Forward; it does not tell these runs from others, and a run that was asked for before the browser heard of our last
change brings the old query too. So: if a control moved since the last `save`, the address is late and the control wins,
also after quick clicks; if the address is the one we replaced less than `LATE_S` ago, it is late as well; else it wins.
"""

from __future__ import annotations

import difflib
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast
from urllib.parse import urlencode

import streamlit as st

from engine.core.errors import shortened

MOST_SAID = 8  # Sentences about one address.
LATE_S = 0.5  # Seconds a browser may take to show an address we wrote; nobody goes Back faster.
# Seconds after a run in which its controls are told to the browser again, should another run follow before one moved. A
# busy browser loads the program of a control for that long, and one it is not told of would show its first choice.
HEARD_S = 15.0
_FOLLOWED = "links.followed"  # View whose controls this run filled from the address.
_UNSENT = "links.unsent"  # View whose controls were filled, and until when they are told again; None: its run goes on.


@dataclass(frozen=True, slots=True)
class Param:
    """One control of a view: `name` is its key in the URL and, after the view's own name, in the session."""

    name: str
    default: str | tuple[str, ...] | None = None
    choices: tuple[str, ...] | None = None  # None: any text (a selection, say).
    many: bool = False  # A list, written as repeated keys.
    pinned: bool = False  # The default depends on the data, so a copied link says it even then.


_ASKED = "links.asked"  # What the last link brought that is no name, by its letters.
MOST_KEPT = 500  # Letters of each.
_NAME = re.compile(r"[\w.~*/+:=@-]{1,80}")
_LEADS = re.compile(r"//|www\.|\.(?!(?:csv|tsv|jsonl?|parquet|xlsx?|ods)$)[a-z]{2,}(?!\w)|\d\.\d+\.\d|@[\w-]+\.", re.I)
"""What makes a name look like a place to go to: example.org, 198.51.100.7; direct.answer_tokens is a parameter, and
sums.csv is a file, whose ending leads nowhere."""
_QUOTATION = re.compile(r"""(?<!\w)(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")(?!\w)""")
_FOLDERS = re.compile(r"(?<![\w/.:~…-])/(?:[^\s/'\"]+/)+(?=[^\s/'\"])")
_LEFT_OUT = "'…'"
Values = dict[str, str | list[str] | None]
Query = Mapping[str, Sequence[str]]


def key(view: str, name: str) -> str:
    """Session key of a control: give it to the widget."""
    return f"{view}.{name}"


def value(view: str, name: str) -> Any:
    """Value of a control now; None where it says nothing."""
    return st.session_state.get(key(view, name))


def cell(condition: str, budget: int | None) -> str:
    """A cell as the URL names it."""
    return f"{condition}~{budget}"


def select_clicked(view: str, chart: str) -> None:
    """Select the cell of the point that was clicked in a figure, if the first two of the point's own data name one."""
    points = cast("dict[str, Any]", st.session_state[chart])["selection"]["points"]
    if points and (point := points[0].get("customdata")) and point[0]:
        st.session_state[key(view, "cell")] = cell(*point[:2])


def is_name(text: str) -> bool:
    """Whether a text could be a name of ours and of nothing else: no sentence, and no place in the web to go to."""
    return bool(_NAME.fullmatch(text)) and not _LEADS.search(text)


def quoted(text: object) -> str:
    """What a link asked for, in quotes, where it could be a name of ours; a sentence of somebody else's is left out."""
    return repr(str(text)) if is_name(str(text)) else _LEFT_OUT


def own(sentence: str) -> str:
    """A sentence of ours without what a link made it quote, unless that could be a name of ours, and without the
    folders of the server, which are nobody's business."""
    asked = st.session_state.get(_ASKED, ())

    def shown(quotation: re.Match[str]) -> str:
        # The beginning tells, since what is long is quoted in part.
        begins = "" if is_name(quotation[0][1:-1]) else _letters(quotation[0])[:8]
        return _LEFT_OUT if begins and any(begins in text for text in asked) else quotation[0]

    return _FOLDERS.sub("", _QUOTATION.sub(shown, sentence) if asked else sentence)


def _letters(text: str) -> str:
    return re.sub(r"[\W_]+", "", text).lower()


def parse(params: Iterable[Param], query: Query) -> tuple[Values, list[str]]:
    """Values of a query, defaults where it is silent or wrong, and one sentence for each part it could not use."""
    known = {param.name: param for param in params}
    values, problems = Values(), list[str]()
    for name in query:
        if name not in known:
            near = difflib.get_close_matches(shortened(name), list(known), n=1)
            hint = f" Did it mean {near[0]!r}?" if near else ""
            problems.append(f"This link has a part {quoted(name)} that this page does not know.{hint}")
    for name, param in known.items():
        texts = list(query.get(name, ()))
        fitting = [text for text in texts if param.choices is None or text in param.choices]
        if param.many:
            values[name] = fitting or _texts(param.default)
        else:
            values[name] = next(iter(fitting or _texts(param.default)), None)
        for text in texts:
            if text not in fitting:  # What is not said need not be compared: an address may ask for thousands.
                problems.append(_gone(name, text, param.choices or () if len(problems) < MOST_SAID else ()))
    left = len(problems) - MOST_SAID  # An address may hold thousands of parts, and a page can show a few sentences.
    return values, [*problems[:MOST_SAID], *([f"{left:,} more parts of this link cannot be used."] if left > 0 else [])]


def _gone(name: str, text: str, choices: Sequence[str]) -> str:
    """What a link asked for in vain, with what is there and looks most like it."""
    # Nearer than for words: of two settings' ids some letters are always the same.
    if len(choices) > 1 and all(map(str.isdecimal, (choices[0], choices[-1]))):
        return f"This link asks for {name} = {quoted(text)}; it may be {choices[0]} to {choices[-1]}."
    near = difflib.get_close_matches(shortened(text), choices, n=1, cutoff=0.75)
    hint = f" Did it mean {near[0]!r}?" if near else ""
    return f"This link asks for {name} = {quoted(text)}, which is not there (any more).{hint}"


def written(params: Iterable[Param], values: Mapping[str, object], *, whole: bool = False) -> dict[str, list[str]]:
    """The query that says these values; what equals its default is left out, unless pinned and asked for in `whole`."""
    query: dict[str, list[str]] = {}
    for param in params:
        texts = _texts(values.get(param.name))
        if param.many and param.choices:
            texts = [choice for choice in param.choices if choice in texts]  # One selection, one address.
        if texts and (texts != _texts(param.default) or (whole and param.pinned)):
            query[param.name] = texts
    return query


def load(view: str, params: Sequence[Param]) -> list[str]:
    """Fill the session from the URL if the URL changed under us; returns sentences about what it could not use."""
    filled, until = st.session_state.get(_UNSENT, (None, None))
    if filled != view or _moved(view, params) or (until is not None and time.monotonic() > until):
        st.session_state.pop(_UNSENT, None)
    else:
        # A browser drops what a run told it when the next follows at once, and would show controls without a choice.
        for name in (key(view, param.name) for param in params):
            if name in st.session_state:
                st.session_state[name] = st.session_state[name]
    query, moved = current(), _moved(view, params)
    st.session_state.pop(_FOLLOWED, None)
    if moved:
        st.session_state[key(view, "problems")] = []
    elif query != st.session_state.get(key(view, "url")) and not _late(view, query):
        asked = {_letters(text)[:MOST_KEPT] for texts in query.values() for text in texts if not is_name(text)}
        if asked:
            st.session_state[_ASKED] = asked
        st.session_state[key(view, "problems")] = _fill(view, params, query)
        st.session_state[key(view, "url")] = query
        st.session_state[_FOLLOWED] = view
    # What the data no longer offers goes back to its default: a filter above may have taken it away.
    now = _now(view, params)
    if stale := [p for p in params if p.choices is not None and not set(_texts(now[p.name])) <= set(p.choices)]:
        _fill(view, stale, {})
    return list(st.session_state.get(key(view, "problems"), []))


def also(view: str, problems: Sequence[str]) -> None:
    """Say these too as long as what `load` says of the same link."""
    st.session_state[key(view, "problems")] = [*st.session_state.get(key(view, "problems"), ()), *problems]


def settle(
    view: str,
    params: Sequence[Param],
    offers: Mapping[str, tuple[str | tuple[str, ...], tuple[str, ...]]],
    *,
    went_on: bool,
) -> tuple[tuple[Param, ...], list[str]]:
    """Defaults of parameters whose choices are known only after others were made: the parameters that have them, and
    sentences about what a link asked for in vain, which is replaced; `went_on`: it was a control that took it away.

    `offers`: by parameter its default and all it may be."""
    problems, many = [], {param.name for param in params if param.many}
    for name, (default, choices) in offers.items():
        chosen = _texts(value(view, name))
        left = [text for text in chosen if text in choices]
        if not went_on:
            gone = [text for text in chosen if text not in choices]
            problems += [_gone(name, text, choices if len(gone) <= MOST_SAID else ()) for text in gone]
        if not left or (went_on and name not in current()):
            left = _texts(default)
        st.session_state[key(view, name)] = left if name in many else next(iter(left), None)
    return tuple(replace(p, default=offers[p.name][0]) if p.name in offers else p for p in params), problems


def sent() -> None:
    """Mark the run as ended by itself: the browser will soon have heard of every control `load` filled."""
    view, until = st.session_state.get(_UNSENT, (None, None))
    if view and until is None:
        st.session_state[_UNSENT] = view, time.monotonic() + HEARD_S


def save(view: str, params: Sequence[Param]) -> None:
    """Write the session's state into the URL if a control moved; an address nobody touched stays as it was given."""
    values = _now(view, params)
    query, moved = written(params, values), values != st.session_state.get(key(view, "values"))
    # Once, or it would hold for the parts of a page that are drawn alone, which fill nothing.
    if st.session_state.pop(_FOLLOWED, None) == view:
        # Where the page starts is nobody's choice: written, it would be one more step for Back.
        query = current()
    if query != current() and (moved or _late(view, current())):
        st.query_params.from_dict(query)  # A newer run may end this one here: then nothing counts as saved.
    if moved:
        st.session_state[key(view, "replaced")] = (st.session_state.get(key(view, "url")), time.monotonic())
        st.session_state[key(view, "url")] = query
        st.session_state[key(view, "values")] = values


def tell() -> None:
    """Show the browser the address that this run of the page was asked for: a link from a page to itself brings its
    query here and leaves the address bar as it was."""
    st.query_params.from_dict(current())


def address(view: str, params: Sequence[Param], values: Mapping[str, object] | None = None) -> str:
    """The whole address of what is on screen, or of `values`, as another browser can open it."""
    query = urlencode(written(params, _now(view, params) if values is None else values, whole=True), doseq=True)
    page = (st.context.url or "").split("?")[0]
    page = page if page.count("/") > 2 else f"{page}/"  # The home page has no path of its own, but needs its slash.
    return f"{page}?{query}" if query else page


def root() -> str:
    """The address of the dashboard, without its last slash."""
    parts = (st.context.url or "").split("?")[0].split("/")
    return "/".join(parts[:3])


def current() -> dict[str, list[str]]:
    """The URL's query as it is."""
    return {name: st.query_params.get_all(name) for name in st.query_params}


def _now(view: str, params: Iterable[Param]) -> Values:
    values = {param.name: value(view, param.name) for param in params}
    return {name: list(each) if isinstance(each, (list, tuple)) else each for name, each in values.items()}


def _moved(view: str, params: Sequence[Param]) -> bool:
    """Whether a control says something else than when the state was last saved."""
    # Streamlit drops the controls of a page that is left: a missing one means we come from elsewhere, and the address
    # decides.
    if any(key(view, param.name) not in st.session_state for param in params):
        st.session_state.pop(key(view, "url"), None)
        return False
    saved = st.session_state.get(key(view, "values"))
    return saved is not None and _now(view, params) != saved


def _late(view: str, query: Query) -> bool:
    """Whether this is the address we replaced a moment ago."""
    replaced, at = st.session_state.get(key(view, "replaced"), (None, 0.0))
    return bool(query == replaced and time.monotonic() - at < LATE_S)


def _fill(view: str, params: Sequence[Param], query: Query) -> list[str]:
    values, problems = parse(params, query)
    for name, each in values.items():
        st.session_state[key(view, name)] = each
    st.session_state[_UNSENT] = view, None
    st.session_state[key(view, "values")] = {**st.session_state.get(key(view, "values"), {}), **values}
    return problems


def _texts(value: object) -> list[str]:
    if value is None or value == "":
        return []
    return [value] if isinstance(value, str) else [str(item) for item in value] if isinstance(value, Iterable) else []
