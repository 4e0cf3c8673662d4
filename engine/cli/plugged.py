"""What a command does about plugins before its verb: loads those it was told to, and says which were left out.

The verbs that work on a study load what the study names as well; the others never do.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from engine.cli import show
from engine.strategies import plugins

WORKING = frozenset({"run", "resume", "estimate", "calibrate"})
"""Verbs that are told to work on a study, so that they may load the code it names."""


@contextmanager
def plugged(options: Namespace) -> Iterator[None]:
    """Inside the block the plugins of the command are loaded; each that was left out is one line on stderr."""
    working = options.act.partition(":")[2] in WORKING
    with plugins.hearing(lambda fault: show.tell(f"budgetscope: {fault}")), plugins.trusting() if working else _as_is():
        for name in asked(options):
            plugins.load(name)
        yield


def asked(options: Namespace) -> list[str]:
    """The modules named by --plugin, before the verb and after it."""
    return [name for dest in ("plugin", "plugin_of_verb") for name in getattr(options, dest, None) or ()]


def _as_is() -> nullcontext[None]:
    return nullcontext()
