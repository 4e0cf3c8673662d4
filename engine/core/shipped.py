"""What comes along besides code: the demo database and the example studies.

An installed package has them inside (`hatch_build.py` puts them there), a clone at its root.
"""

from __future__ import annotations

from pathlib import Path

INSIDE = Path(__file__).resolve().parents[1] / "shipped"
"""Their folder in an installed package; there is none in a clone."""


def demo() -> Path | None:
    """The demo database of an installed package; None in a clone, whose demo lies in the working folder."""
    path = INSIDE / "results.duckdb"
    return path if path.is_file() else None


def examples() -> dict[str, Path]:
    """The example studies: name without `.toml` → file; empty where none came along."""
    folder = (INSIDE if INSIDE.is_dir() else INSIDE.parents[1]) / "examples"
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}
