"""Opens a page of the dashboard without a browser, as its address would, and gives all it sent as bytes.

Owns the running of a page; which database it shows is the caller's `BUDGETSCOPE_DB`. Asserts nothing.
"""

from __future__ import annotations

from typing import Any

from streamlit.testing.v1 import AppTest

from tests import ROOT

APP = ROOT / "dashboard" / "app.py"


def run_page(view: str = "explore", **query: str | list[str]) -> AppTest:
    """A view after its first run with these parameters in its address."""
    app = AppTest.from_file(str(APP), default_timeout=180)
    if view != "explore":
        app.switch_page(f"views/{view}.py")
    for name, value in query.items():
        app.query_params[name] = value
    return app.run()


def texts(app: AppTest) -> list[str]:
    """What a page says in Markdown, in order, without its styles."""
    return [text for each in app.markdown if not (text := str(each.value)).startswith("<style>")]


def shown_bytes(app: AppTest) -> bytes:
    """All elements of the page with all they carry, its address, and its session."""
    found: list[bytes] = [repr(dict(app.query_params)).encode(), repr(app.session_state.to_dict()).encode()]
    _gather(app._tree, found)
    return b"\n".join(found)


def _gather(node: Any, found: list[bytes]) -> None:
    proto = getattr(node, "proto", None)
    if proto is not None and hasattr(proto, "SerializeToString"):
        found += [proto.SerializeToString(), str(proto).encode()]
    for child in getattr(node, "children", {}).values():
        _gather(child, found)
