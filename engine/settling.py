"""Makes a database quick to read once it has grown large; a run that ended is the moment for it.

Owns nothing but that moment: what is held and how is `analysis.holding`, which is only loaded where it is needed.
"""

from __future__ import annotations

import logging
from pathlib import Path

from engine import steps
from engine.errors import StoreError
from engine.store import Store

log = logging.getLogger(__name__)


def settle(path: Path, enough: int = steps.ENOUGH) -> None:
    """Hold the sums of a database of `enough` steps; one that is busy stays as it is and is only slower to read."""
    try:
        with Store(path).reading() as connection:
            large = steps.size(connection) >= enough
        if large:
            from engine.analysis.holding import settle as hold

            hold(path, enough=enough)
    except StoreError as error:
        log.warning("the results of this run are stored, but not prepared for quick reading: %s", error)
