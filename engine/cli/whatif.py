"""The arguments of savings and of looking through other prices. Knows argparse alone, so that `--help` stays light."""

from __future__ import annotations

import argparse
from collections.abc import Callable

Add = Callable[[str, str, str], argparse.ArgumentParser]


def whatif(add: Add) -> None:
    """Add the verb."""
    verb = add(
        "savings", "savings:savings", "what a month costs with one setting and with a cheaper one, and who loses"
    )
    for name, says in (("a", "the setting of today"), ("b", "the cheaper one")):
        verb.add_argument(name, metavar=name.upper(), help=f"{says}: label or beginning of an id")
    verb.add_argument("--per-day", type=float, required=True, metavar="N", help="questions a day")
    verb.add_argument("--zone", default="WOR", help="grid, by ISO code such as FRA or USA (WOR: the world)")
    sized = "billions of parameters, where the size is not known or another is meant (repeatable)"
    verb.add_argument("--size", action="append", default=[], metavar="MODEL=ACTIVE[/TOTAL]", help=sized)
    verb.add_argument("--pue", type=float, metavar="X", help="of the data centre of models with a --size (1.2)")
    share = "energy of an input token as a share of an output token's (0: ecologits counts none)"
    verb.add_argument("--prefill-share", type=float, default=0.0, metavar="X", help=share)
    verb.add_argument("--by", metavar="COLUMN", help="who pays: accuracy by this column of the questions or their data")
    verb.add_argument("--task", help="the task, where a label is on several")
    prices(verb)
    verb.add_argument("--json", action="store_true", help="as JSON")


def prices(verb: argparse.ArgumentParser) -> None:
    """Add --prices."""
    says = (
        "stored (the default), today (the bundled list), FILE.toml with [[models]] prices, MODEL=IN/OUT in USD per "
        "million tokens, or MODEL=xFACTOR (repeatable)"
    )
    verb.add_argument("--prices", action="append", default=[], metavar="WHICH", help=says)
