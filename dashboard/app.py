"""The dashboard's entry: page settings, navigation, one look. `budgetscope` starts it, `streamlit run` works too."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from dashboard import ready
from dashboard.widgets import controls, url_state

HERE = Path(__file__).parent
VIEWS = HERE / "views"
PAGES = (
    ("frontier", "Frontier", ""),
    ("advice", "Advice", "advice"),
    ("curves", "Budget curves", "curves"),
    ("told", "Told budgets", "told"),
    ("compare", "Compare", "compare"),
    ("trials", "Trials", "trials"),
    ("run", "Run", "run"),
    ("method", "Method", "method"),
)

CHARTS = ("", "advice", "curves", "told", "compare")
"""Pages with figures."""


def pages() -> list[st.Page]:
    """One page per view, the frontier at the root."""
    return [
        st.Page(VIEWS / f"{name}.py", title=title, url_path=path, default=not path)
        for name, title, path in PAGES
        if (VIEWS / f"{name}.py").exists()
    ]


st.set_page_config(page_title="Budgetscope", page_icon=str(HERE / "icon.svg"), layout="wide")
page = st.navigation(pages(), position="top")
controls.dress()
controls.watch_browser(charts=page.url_path in CHARTS)
ready.load()
page.run()
url_state.sent()
