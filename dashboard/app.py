"""The dashboard's entry: page settings, wordmark, navigation, one look. `budgetscope` starts it, or `streamlit run`."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import streamlit as st

from dashboard import assets, moved
from dashboard.moved import PAGES, UNLISTED
from dashboard.widgets import controls, modules, url_state, window

HERE = Path(__file__).parent
VIEWS = HERE / "views"


def led(path: str) -> None:
    """Lead an earlier address to the page that took its place, with what it asked for."""
    view, query = moved.place(path, {name: st.query_params.get_all(name) for name in st.query_params})
    st.switch_page(VIEWS / f"{view}.py", query_params=query)


def pages() -> list[st.Page]:
    """One page per view, Explore at the root; older addresses are there and not shown."""
    shown = [st.Page(VIEWS / f"{name}.py", title=title, url_path=path, default=not path) for name, title, path in PAGES]
    hidden = [
        st.Page(partial(led, path), title="Budgetscope", url_path=path, visibility="hidden")
        for path in moved.PLACES
        if path not in {url for _, _, url in PAGES}
    ]
    linked = [
        st.Page(VIEWS / f"{name}.py", title=title, url_path=path, visibility="hidden") for name, title, path in UNLISTED
    ]
    return [*shown, *linked, *hidden]


page = st.navigation(pages(), position="top")
title = page.title if page.title == "Budgetscope" else f"{page.title} · Budgetscope"
st.set_page_config(page_title=title, page_icon=str(HERE / "icon.svg"), layout="wide")
st.logo(str(HERE / f"wordmark{'-dark' if controls.dark() else ''}.svg"), size="large")
controls.dress()
window.watch(charts=page.url_path in assets.CHARTS)
modules.load()
with modules.drawing():
    page.run()
url_state.sent()
