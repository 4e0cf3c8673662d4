"""The arguments of advise and compare. Knows argparse alone, so that `--help` stays light."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable

Add = Callable[[str, str, str], argparse.ArgumentParser]


def questions(add: Add) -> None:
    """Add both verbs."""
    _advise(add("advise", "advise:advise", "say what to choose on a task, with the evidence"))
    _compare(add("compare", "advise:compare", "one setting against another on the questions both have"))


def _advise(verb: argparse.ArgumentParser) -> None:
    group = verb.add_argument_group("questions (as many as you like)")
    group.add_argument("--reach", type=_share, metavar="SHARE", help="cheapest setting that reaches it: 0.6 or 60%%")
    group.add_argument("--under", type=_amount, metavar="BUDGET", help="best setting within it, in the axis' unit")
    group.add_argument("--beats", nargs=2, metavar=("A", "B"), help="from which budget on condition A beats B")
    group.add_argument(
        "--next-point",
        nargs="?",
        type=_amount,
        const=math.nan,
        metavar="SPEND",
        help="what the next percentage point costs at a spend (on the last step)",
    )
    group.add_argument("--per-right", action="store_const", const=True, help="spend per right answer")
    group.add_argument("--without", metavar="MODEL", help="what the frontier loses if the model disappears")
    group.add_argument("--price", metavar="MODEL=xFACTOR", help="what it loses, in dollars, if its price changes")
    _where(verb)
    verb.add_argument("--x", help="the spend that is meant by cheap (default: the axis, else output_tokens)")


def _compare(verb: argparse.ArgumentParser) -> None:
    for name in ("a", "b"):
        verb.add_argument(name, metavar=name.upper(), help="label or beginning of an id, @BUDGET if you like")
    _where(verb)
    verb.add_argument("--by", default="category", metavar="COLUMN", help="column of the questions to split by")


def _where(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--task", help="the task (needed where there are several)")
    verb.add_argument("--axis", help="what budgets count (default: what the runs used)")
    verb.add_argument("--json", action="store_true", help="as JSON")


def _share(text: str) -> float:
    number = _read(text.removesuffix("%"))
    share = number / 100 if text.endswith("%") else number
    if not 0 < share < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no accuracy between 0 and 1, or 0% and 100%")
    return share


def _amount(text: str) -> float:
    amount = _read(text.replace(",", "").removeprefix("$"))
    if not 0 <= amount < 1e12:
        raise argparse.ArgumentTypeError(f"{text!r} is no amount of 0 or more")
    return amount


def _read(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
