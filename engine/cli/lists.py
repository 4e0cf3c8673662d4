"""strategies, tasks, models: what there is to choose from. Opens none of them."""

from __future__ import annotations

from argparse import Namespace

from engine.cli import show


def strategies(options: Namespace) -> int:
    """Every registered strategy by family, with its parameters and their defaults."""
    from engine.strategies import entries

    found = entries().values()
    if options.json:
        show.emit(
            [
                {
                    "name": e.name,
                    "family": e.family,
                    "calls": e.calls,
                    "parameters": e.knobs,
                    "idea": e.idea,
                    "papers": e.papers,
                    "oracle": e.oracle,
                    "version": e.version,
                    "roles": e.roles,
                    "needs_prefix": e.needs_prefix,
                }
                for e in found
            ]
        )
        return 0
    for each in sorted(found, key=lambda e: (e.family, e.name)):
        knobs = ", ".join(f"{key} = {_toml(value)}" for key, value in each.knobs.items())
        show.say(f"{each.name}: {each.idea}")
        models = f"; models: {', '.join(('solver', *each.roles))}" if each.roles else ""
        needs = "; needs a model that continues a prefix" if each.needs_prefix else ""
        show.say(f"    {each.family}; calls per question: {each.calls}{models}{needs}; {knobs}")
    return 0


def tasks(options: Namespace) -> int:
    """The generated tasks by name, and how a file of one's own is named."""
    from engine.tasks import task_names

    found = task_names()
    if options.json:
        show.emit(found)
        return 0
    for name in found:
        show.say(name)
    show.say("file:<path> for your own questions: CSV, JSONL or Parquet with the columns question and answer.")
    return 0


def models(options: Namespace) -> int:
    """The models that come along; with a word, every known name that holds it, with its price."""
    from engine.models import known_models

    word = options.word or ""
    found = [name for name in known_models() if word.lower() in name.lower()]
    if options.json:
        show.emit([{"name": name, **_price(name)} for name in found])
        return 0
    here = [name for name in found if name.startswith(("local/", "scripted/"))]
    shown = found if word else here
    rows = [(name, *map(_dollars, _price(name).values())) for name in shown]
    show.table(("model", "USD per million input", "output"), rows, numeric=(1, 2))
    if not word:
        show.say()
        show.say(
            f"{len(found) - len(here):,} models of providers have a known price: `budgetscope models WORD` lists them."
        )
        show.say("Your own endpoint or GGUF file: a [[models]] table with api_base or gguf (see README.md).")
    return 0


def _price(name: str) -> dict[str, float | None]:
    """USD per million tokens; None: unknown, or nobody bills it."""
    from engine.models.prices import bundled_price

    price = bundled_price(name)
    rates = (None, None) if price is None else (price.input_pusd / 1e6, price.output_pusd / 1e6)
    return dict(zip(("input_usd_per_million", "output_usd_per_million"), rates, strict=True))


def _dollars(value: float | None) -> str:
    return show.number(value)


def _toml(value: object) -> str:
    return "none" if value is None else repr(value)
