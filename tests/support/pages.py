"""Opens a page of the dashboard without a browser, as its address would.

Owns the running of a page; which database it shows is the caller's `BUDGETSCOPE_DB`. Asserts nothing.
"""

from __future__ import annotations

from streamlit.testing.v1 import AppTest

from tests import ROOT

APP = ROOT / "dashboard" / "app.py"


def run_page(view: str = "explore", **query: str | list[str]) -> AppTest:
    """A view after its first run with these parameters in its address."""
    app = AppTest.from_file(str(APP), default_timeout=60)
    if view != "explore":
        app.switch_page(f"views/{view}.py")
    for name, value in query.items():
        app.query_params[name] = value
    return app.run()
