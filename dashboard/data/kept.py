"""What was worked out from a database, kept for as long as its file stays as it is.

A run that stores answers makes a new state of the file every second or two, and nobody asks for an old one again. Here
only the newest few states keep anything. A cache that counts its entries instead, as Streamlit's do, fills up with what
nobody will ask for: a server beside a run grew by 90 MB in three minutes, and by what a large database takes times 32.
Values are shared, not copied: whoever asks leaves them as they are.
"""

from __future__ import annotations

import inspect
from collections import OrderedDict
from collections.abc import Callable, Hashable
from contextlib import nullcontext
from functools import lru_cache, wraps
from threading import Lock
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, cast

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

STATES = 3
"""Pages that began before an answer was stored go on with the state they began with."""

State = TypeVar("State", bound=Hashable)
Given = ParamSpec("Given")
Value = TypeVar("Value")
_Read = Callable[..., Any]
_lock = Lock()
_states: OrderedDict[Hashable, dict[_Read, Callable[..., _Once[Any]]]] = OrderedDict()


class _Once(Generic[Value]):
    """A value that the first who asks works out, while others wait for it; one that fails is worked out again."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._found: tuple[Value] | None = None

    def value(self, work: Callable[[], Value], says: str) -> Value:
        """What `work` gives; `says` is shown on the page meanwhile."""
        with self._lock:
            if self._found is None:
                # Other threads than a page's own read ahead.
                shown = bool(says) and get_script_run_ctx(suppress_warning=True) is not None
                with st.spinner(says) if shown else nullcontext():
                    self._found = (work(),)
            return self._found[0]


def kept(
    most: int = 64, says: str = ""
) -> Callable[[Callable[Concatenate[State, Given], Value]], Callable[Concatenate[State, Given], Value]]:
    """Decorates a function whose first argument is the state of a database: of each state that is kept, the last `most`
    values it gave. All arguments are hashed; `says` is shown on the page while one is worked out, empty: nothing."""

    def decorated(read: Callable[Concatenate[State, Given], Value]) -> Callable[Concatenate[State, Given], Value]:
        written = inspect.signature(read)

        @wraps(read)
        def asked(state: State, /, *args: Given.args, **named: Given.kwargs) -> Value:
            # As one call, whether defaults are written out or not: they would be read twice.
            bound = written.bind(state, *args, **named)
            bound.apply_defaults()
            with _lock:
                reads = _states.setdefault(state, {})
                _states.move_to_end(state)
                while len(_states) > STATES:
                    _states.popitem(last=False)
                slots = reads.setdefault(read, lru_cache(maxsize=most)(lambda *_, **__: _Once[Value]()))
                slot = cast(_Once[Value], slots(*bound.args[1:], **bound.kwargs))
            return slot.value(lambda: read(state, *args, **named), says)

        return asked

    return decorated
