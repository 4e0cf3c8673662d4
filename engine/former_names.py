"""Where modules lived that plugins import: each former name gives what its module, or modules, give now.

`import engine` installs this, so a plugin written for an earlier release is imported as it is. Nothing of ours uses it.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

FORMER = {
    "engine.answers": "engine.core.answers",
    "engine.errors": "engine.core.errors",
    "engine.passages": "engine.strategies.retrieval",
    "engine.records": "engine.core.records",
    "engine.session": "engine.trial.session",
    "engine.tokens": "engine.core.tokens",
    "engine.votes": "engine.core.answers",
}
"""Former name -> where its names are."""


class _Former(MetaPathFinder, Loader):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return ModuleSpec(fullname, self) if fullname in FORMER else None

    def exec_module(self, module: ModuleType) -> None:
        now = importlib.import_module(FORMER[module.__name__])
        # The same objects under both names: a record made by one is an instance of the other.
        vars(module).update({name: value for name, value in vars(now).items() if not name.startswith("__")})


def install() -> None:
    """Let former names be imported; a second call does nothing."""
    if not any(isinstance(finder, _Former) for finder in sys.meta_path):
        sys.meta_path.append(_Former())
