"""Every way in which foreign text, money or files come in: one list, to which each later door adds itself.

The suites of kills, provider modes and hostile strings walk it; a test counts that every verb of the command line, every
page and every upload has a door, so that a new one cannot be forgotten. `python -m tests.support.doors` prints it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Way = Literal["verb", "page", "upload"]
Brings = Literal["text", "money", "files"]


@dataclass(frozen=True, slots=True)
class Door:
    """One way in."""

    way: Way
    name: str
    """The verb, the page's module, or the key of the upload."""
    brings: frozenset[Brings]
    """Text that others wrote, money that is spent, files that are read or written."""
    path: str = ""
    """Where a page is opened in a browser."""


DOORS: list[Door] = []
"""All of them."""


def door(way: Way, name: str, *brings: Brings, path: str = "") -> Door:
    """Add a door; one of a name stands once."""
    if any((each.way, each.name) == (way, name) for each in DOORS):
        raise ValueError(f"the {way} {name!r} has a door already")
    DOORS.append(Door(way, name, frozenset(brings), path))
    return DOORS[-1]


def doors(way: Way, brings: Brings | None = None) -> list[Door]:
    """Those of one way, all or those that bring this."""
    return [each for each in DOORS if each.way == way and (brings is None or brings in each.brings)]


for _name in ("run", "resume", "calibrate", "probe"):
    door("verb", _name, "text", "money", "files")
# `models test NAME` makes a call that bills.
door("verb", "models", "text", "money", "files")
# `tasks NAME --fetch` brings a file of questions; `import` reads logs of other tools and databases of others.
for _name in (
    "estimate",
    "savings",
    "advise",
    "compare",
    "report",
    "export",
    "share",
    "tasks",
    "judge",
    "check",
    "tokens",
    "import",
    "rewards",
    "archive",
    "restore",
    "forget",
):
    door("verb", _name, "text", "files")
for _name in ("stop", "delete", "runs", "allowance", "bill", "strategies", "doctor"):
    door("verb", _name, "text")
door("verb", "completion")
for _name, _path in (
    ("budgets", "budgets"),
    ("compare", "compare"),
    ("answers", "answers"),
    ("tokens", "tokens"),
    ("help", "help"),
    ("snapshot", "snapshot"),
):
    door("page", _name, "text", path=_path)
door("page", "explore", "text")
door("page", "thought", "text", "money", path="thought")
door("page", "runs", "text", "money", "files", path="runs")
door("upload", "dashboard/widgets/study_form.py", "text", "files")
door("upload", "dashboard/widgets/import_panel.py", "text", "files")
door("upload", "dashboard/views/tokens.py", "text", "files")

if __name__ == "__main__":
    for _each in DOORS:
        print(f"{_each.way:7s} {_each.name:34s} {', '.join(sorted(_each.brings)) or 'nothing'}")
