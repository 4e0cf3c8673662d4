"""Puts the demo database and the examples into a wheel; a clone reads them where they lie."""

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Shipped(BuildHookInterface):  # type: ignore[type-arg]
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version != "editable":
            build_data["force_include"] |= {
                "results.duckdb": "engine/shipped/results.duckdb",
                "examples": "engine/shipped/examples",
            }
