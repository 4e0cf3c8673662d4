"""Everything a page sent to the browser, as bytes one can search."""

from __future__ import annotations

from typing import Any

from streamlit.testing.v1 import AppTest


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
