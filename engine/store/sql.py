"""What every statement of this room shares: the type of a connection, and how a literal is quoted."""

from __future__ import annotations

import duckdb

Connection = duckdb.DuckDBPyConnection


def quoted(text: str) -> str:
    """A SQL string literal, for the few statements that take no parameters."""
    return "'" + text.replace("'", "''") + "'"


def each(template: str, *names: str) -> str:
    """The template once per name, which stands for its @."""
    return ", ".join(template.replace("@", name) for name in names)
