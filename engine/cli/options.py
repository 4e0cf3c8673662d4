"""What verbs share: options, their readers, exit codes, and what a word names (a database, a run, a condition).

A verb is a function under its arguments and `@click.command(cls=Verb)`. A parameter `db` is the path of the database;
what it returns is the exit code, and None is 0.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from engine.core import files
from engine.core.errors import UnknownName, UsageError

if TYPE_CHECKING:
    from engine.analysis import Results
    from engine.runs.run_dir import RunDir
    from engine.study.schema import Study

Row = Mapping[str, Any]
EXIT_CODES = {
    0: "done",
    1: "error, or a check that failed",
    2: "wrong use",
    3: "stopped (by you or by the ceiling), or a check is undecided",
    4: "finished, but some trials failed",
}
"""Every exit code of every verb, as `--help` lists them."""
DONE, ERROR, USAGE, STOPPED, FAILED_TRIALS = EXIT_CODES
CODE_OF_STATE = {"finished": DONE, "failed": ERROR, "stopped": STOPPED, "ceiling": STOPPED}
"""Exit code by the state a run ended in."""
MOST = 10**12
"""Largest number an option takes; sums of more could leave the database's 64 bits."""
DB, PLUGINS = "engine.cli.db", "engine.cli.plugins"
"""Keys of the meta data that a verb's context shares with the program's: both take --db and --plugin."""


class Option(click.Option):
    """An option that `--help` lists under the title of its `group`, its value named after it (--task TASK)."""

    def __init__(self, *args: Any, group: str = "Options", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.group = group
        # Where click would say TEXT or FLOAT.
        if self.metavar is None and not self.is_flag and self.name:
            self.metavar = self.name.upper()


class Helped(click.Command):
    """Takes the beginning of a long option for the whole, and lists its options by group."""

    stops: Iterable[str] = ()
    """Words after which the arguments are somebody else's."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Any unambiguous beginning of an option names it: scripts may be older than an option's last letters."""
        known = [name for param in self.get_params(ctx) for name in param.opts if name.startswith("--")]
        end = next((at for at, word in enumerate(args) if word == "--" or word in self.stops), len(args))
        for at, word in enumerate(args[:end]):
            name, equals, value = word.partition("=")
            fitting = [each for each in known if len(name) > 2 and each.startswith(name)]
            if len(fitting) == 1:
                args[at] = fitting[0] + equals + value
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            # some of click's errors do not know whose argument it was
            error.ctx = error.ctx or ctx
            raise

    def format_arguments(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Nothing: arguments stand with the options, also those without a text of their own."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Arguments, then options, then those with a title of their own."""
        groups: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
        for param in self.get_params(ctx):
            title = "Arguments" if isinstance(param, click.Argument) else getattr(param, "group", "Options")
            if record := param.get_help_record(ctx):
                groups.setdefault(title, []).append(record)
        for title, records in groups.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)


def _store(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    """--db of the verb wins over the program's; modules of --plugin add up."""
    if param.name == "db" and value is not None:
        # The verb's own comes later and wins over the program's.
        ctx.meta[DB] = value
    elif param.name == "plugin":
        ctx.meta.setdefault(PLUGINS, []).extend(value)


def db_option() -> Option:
    """--db, before the verb or after it."""
    says = "database of results"
    return Option(["--db"], type=Path, metavar="PATH", help=says, callback=_store, expose_value=False)


def debug_option() -> Option:
    """--debug, which `main` looks for."""
    return Option(["--debug"], is_flag=True, help="show tracebacks", expose_value=False)


class Verb(Helped):
    """One verb. `works`: it works on a study it is told, so it may load the modules that the study names."""

    def __init__(self, *args: Any, works: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.works = works
        self.params += [db_option(), debug_option()]

    def invoke(self, ctx: click.Context) -> Any:
        """Act, with the plugins loaded; each that was left out is one line on stderr."""
        assert self.callback is not None
        if "db" in inspect.signature(self.callback).parameters:
            ctx.params["db"] = database(ctx)
        with plugged(ctx, self.works):
            # An act that gives no exit code has done what it was asked.
            return super().invoke(ctx) or DONE


@contextmanager
def plugged(ctx: click.Context, works: bool = False) -> Iterator[None]:
    """Inside the block the modules of --plugin are loaded, and with `works` those that a study names may be."""
    from engine.cli import show
    from engine.strategies import plugins

    with (
        plugins.hearing(lambda fault: show.tell(f"budgetscope: {fault}")),
        plugins.trusting() if works else nullcontext(),
    ):
        for name in ctx.meta.get(PLUGINS, ()):
            plugins.load(name)
        yield


Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]
Completer = Callable[[click.Context, click.Parameter, str], list[str]]


def option(*names: str, **settings: Any) -> Decorator:
    """`click.option` with a group."""
    return click.option(*names, cls=Option, **settings)


def among(names: Iterable[str] | Callable[[], Iterable[str]]) -> Completer:
    """Completes one of some names; a function is asked for them only when somebody completes."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
        return sorted(name for name in (names() if callable(names) else names) if name.startswith(incomplete))

    return complete


def _run_ids(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    from engine.runs import run_dir

    known = ["last", *(each.run_id for each in run_dir.list_runs(runs_of(database(ctx))))]
    return [run_id for run_id in known if run_id.startswith(incomplete)]


def _task_names() -> Iterable[str]:
    from engine.tasks import task_names

    return task_names()


def model_names() -> Iterable[str]:
    """Every model by a name that is known here."""
    from engine.models import known_models

    return known_models()


def _axes() -> Iterable[str]:
    from engine.core.records import AXES

    return AXES


def as_json(act: Callable[..., Any]) -> Callable[..., Any]:
    """--json, as `as_json`."""
    return option("--json", "as_json", is_flag=True, help="as JSON")(act)


def plugin(act: Callable[..., Any]) -> Callable[..., Any]:
    """--plugin, which is not passed on: the modules are loaded before the act."""
    brings = "module with strategies, tasks or scorers of your own"
    says = f"{brings}, found in the working directory too; it runs with your rights"
    group = "Dashboard" if act.__name__ == "budgetscope" else "Options"
    settings = {"metavar": "MODULE", "group": group, "help": f"{says} (repeatable)"}
    return option("--plugin", multiple=True, callback=_store, expose_value=False, **settings)(act)


def prices(act: Callable[..., Any]) -> Callable[..., Any]:
    """--prices: which prices to look through."""
    says = (
        "stored (the default), today (the bundled list), batch, flex or priority (that list for those levels of "
        "service), FILE.toml with [[models]] prices, MODEL=IN/OUT in USD per million tokens, or MODEL=xFACTOR "
        "(repeatable)"
    )
    return option("--prices", multiple=True, metavar="WHICH", help=says)(act)


def study_file(required: bool = True, help: str | None = None) -> Decorator:
    """STUDY.toml, as `path`."""
    return click.argument("path", type=Path, metavar="STUDY.toml", required=required, help=help)


def run_id(required: bool = True) -> Decorator:
    """RUN, as `name`."""
    says = "id, the beginning of one, or 'last'" + ("" if required else " (all runs)")
    return click.argument("name", metavar="RUN", required=required, shell_complete=_run_ids, help=says)


def task(help: str, **settings: Any) -> Decorator:
    """--task."""
    return option("--task", help=help, shell_complete=among(_task_names), **settings)


def study(act: Callable[..., Any]) -> Callable[..., Any]:
    """--study: whose conditions and questions are shown."""
    says = "what one study asked for, by its name, on its own questions (default: those that asked the same, together)"
    return option("--study", metavar="NAME", help=says, shell_complete=_studies)(act)


def _studies(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    import engine
    from engine.core.errors import BudgetscopeError

    try:
        names = engine.open(database(ctx)).studies()["study"].unique().sort()
    except BudgetscopeError:
        return []
    return [name for name in names if name.startswith(incomplete)]


def axis(help: str) -> Decorator:
    """--axis: what budgets count."""
    return option("--axis", help=help, shell_complete=among(_axes))


def limits(title: str, usd: str, tokens: str, calls: str) -> Decorator:
    """--usd, --tokens and --calls, each positive or None."""

    def add(act: Callable[..., Any]) -> Callable[..., Any]:
        # From the last to the first, as decorators are applied: --usd is listed on top.
        for name, read, says in (("--calls", count, calls), ("--tokens", count, tokens), ("--usd", positive, usd)):
            act = option(name, type=read, help=says, group=title)(act)
        return act

    return add


def actors(act: Callable[..., Any]) -> Callable[..., Any]:
    """--on and --actors, which may be None."""
    where = "let actors try the trials: ray, or the address of a cluster as ray://HOST:PORT"
    act = option("--actors", type=count, help="how many; default: one a core of the cluster", group="Many machines")(
        act
    )
    return option("--on", help=where, group="Many machines")(act)


def positive(text: str) -> float:
    """A number above 0. Raises BadParameter."""
    value = _float(text)
    # `not` over the chain: nan compares false with everything
    if not 0 < value <= MOST:
        raise click.BadParameter(f"{text!r} is no positive number: it is above 0 and at most {MOST:,}")
    return value


def count(text: str) -> int:
    """A whole number above 0. Raises BadParameter."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    # A text that is no number is refused with the 0 it was read as.
    if not 0 < value <= MOST:
        raise click.BadParameter(f"{text!r} is no positive number: it is a whole one from 1 to {MOST:,}")
    return value


def number(text: str | float) -> float:
    """Any number; the act knows what it takes. Raises BadParameter."""
    try:
        return float(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is no number, such as 1000 or 0.5") from None


def port(text: str) -> int:
    """A port of a computer. Raises BadParameter."""
    # cut before it is read: Python refuses to read a number of thousands of digits
    if not text.isdecimal() or not 1 <= int(text[:9]) <= 65_535:
        raise click.BadParameter(f"{text!r} is no port: it is a number from 1 to 65535")
    return int(text)


def form_of(said: str | None, out: Path, endings: Mapping[str, str], usual: str) -> str:
    """The form of a file that is written: as it is said, else as the file's ending has it."""
    return said or endings.get(out.suffix.lower(), usual)


def share(text: str) -> float:
    """A share of 1, or a percentage. Raises BadParameter."""
    value = _float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    if not 0 < value < 1:
        raise click.BadParameter(f"{text!r} is no accuracy between 0 and 1, or 0% and 100%")
    return value


def quantity(text: str | float) -> float:
    """0 or more, with thousands and a dollar sign as people write them. Raises BadParameter."""
    if isinstance(text, float):
        return text
    value = _float(text.replace(",", "").removeprefix("$"))
    if not 0 <= value < MOST:
        raise click.BadParameter(f"{text!r} is no amount of 0 or more")
    return value


def _float(text: str) -> float:
    """What is no number is nan, which no range holds."""
    try:
        return float(text)
    except ValueError:
        return float("nan")


def database(ctx: click.Context) -> Path:
    """--db, else BUDGETSCOPE_DB, else the local copy of the demo, else the demo."""
    from engine.core.places import default_path, refuse_by_name

    db: Path | None = ctx.meta.get(DB)
    # an empty --db arrives as the folder itself
    if db is not None and str(db) in ("", "."):
        raise UsageError("--db is empty; name a database file, or leave it out.")
    db = db or default_path()
    refuse_by_name(db)
    return db


def writable(db: Path) -> Path:
    """The same, or the local copy of a demo, and says so."""
    from engine.cli import show
    from engine.store.store import writable

    path = writable(db)
    if path != db:
        show.tell(f"{db} is the demo and is only read; results go to {path}, a copy of it.")
    return path


def existing(db: Path) -> Path:
    """The database, which must be there. Raises UsageError."""
    if not db.exists():
        raise UsageError(f"There is no database {db} yet; `budgetscope run first` makes one.")
    return db


def replaceable(db: Path, out: Path) -> Path:
    """The same. Raises UsageError for what --out may not replace: a folder, a device, or a file of ours."""
    from engine.runs import run_dir
    from engine.store.database import is_database

    target = out.resolve()
    if out.is_dir():
        raise UsageError(f"{out} is a folder; name a file in it.")
    if not target.parent.is_dir():
        raise UsageError(
            f"{out} cannot be written: there is no folder {target.parent}; make it first, or name another."
        )
    what = None
    if run_dir.is_ours(db, target):
        what = "belongs to the database or its runs"
    elif str(target) != str(target).encode("utf-8", "replace").decode():
        what = "has letters that are no UTF-8"
    elif target.exists() and (not target.is_file() or is_database(target)):
        what = "is not a file that may be replaced"
    elif target.suffix.lower() == ".toml" and target.exists():
        what = "is a study or another file of settings"
    if what:
        raise UsageError(f"{out} {what}; choose another name.")
    if why := unwritable(target.parent):
        raise UsageError(f"{out} cannot be written: nothing can be made in {target.parent} ({why}).")
    return out


def unwritable(folder: Path) -> str | None:
    """Why no file can be made in a folder; None: one can."""
    import tempfile

    # Tried rather than asked: rights, read-only disks and quotas all end here.
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"x")
    except OSError as error:
        return files.why(error)
    return None


def runs_of(db: Path) -> Path:
    """The database whose runs are meant: those of a demo lie beside its local copy."""
    from engine.core.places import local_copy
    from engine.runs import run_dir

    # Only where the database has no runs of its own: a demo never has.
    local = local_copy(db)
    return local if not run_dir.folder(db).is_dir() and run_dir.folder(local).is_dir() else db


def not_archived(db: Path, study: str | None) -> None:
    """Raise UsageError for a study that stands in an archive beside the database and no longer in it."""
    from engine.store import archive
    from engine.store.store import Store

    for folder, kept in archive.archives(db):
        if kept.study == study and not archive.runs_of(Store(db), study):
            raise UsageError(
                f"{study} was archived on {kept.archived_at:%Y-%m-%d}; `--db {folder}` reads it in place, and "
                f"`budgetscope restore {folder}` brings it back."
            )


def find_run(db: Path, name: str) -> RunDir:
    """The run an id, the beginning of one, or 'last' names. Raises UnknownName."""
    from engine.runs import run_dir

    return run_dir.find(runs_of(db), name)


def condition(results: Results, name: str, task: str | None, study: str | None = None) -> Row:
    """A condition by the beginning of its id, with or without the tag, by its label, or by what people call it (on one
    task, of one study): `Chain of thought`, `Self-consistency ×12 · SmolLM2 135M`."""
    # Here, as it brings records and msgspec, which `--help` does without.
    from engine.core import names, text

    stored = results.conditions().to_dicts()
    known: Sequence[Row] = [row for row in stored if task in (None, row["task"], names.task(row["task"]))]
    if task is not None and not known:
        raise UnknownName("task", task, {row["task"] for row in stored})
    if study is not None:
        studies = results.studies()
        if study not in (named := set(studies["study"])):
            raise UnknownName("study", study, named)
        asked = {id for ids in studies.filter(study=study)["condition_ids"] for id in ids}
        known = [row for row in known if row["condition_id"] in asked]
    # An id with its tag or without: k1-69f28c85 and 69f28c85.
    starts = ((row, (row["condition_id"], row["condition_id"].partition("-")[2])) for row in known)
    fitting = [r for r, ids in starts if name and (name == r["label"] or any(each.startswith(name) for each in ids))]
    # Among those of its task, as on the pages.
    called: dict[str, str] = {}
    for each in {row["task"] for row in known}:
        called |= names.conditions([row for row in known if row["task"] == each])
    for calls in (called, {row["condition_id"]: str(names.settings([row])[0]) for row in known}):
        # The name among all on its task, else the bare one, where no other has it.
        fitting = fitting or [row for row in known if name and calls[row["condition_id"]].lower() == name.lower()]
    if len(fitting) > 1:
        among = text.joined(sorted({called[row["condition_id"]] for row in fitting})[:3])
        raise UsageError(
            f"{name!r} fits {len(fitting)} conditions ({among}); write more of the name or of the id, or add --task."
        )
    if not fitting:
        labels = (row["label"] for row in known)
        raise UnknownName("condition", name, [*map(short, known), *labels, *sorted({*called.values()})])
    return fitting[0]


def short(row: Row) -> str:
    """The beginning of a condition's id, as tables show it."""
    return str(row["condition_id"]).partition("-")[2][:8]


def none_of_ours(study: Study) -> Study:
    """The same study. Raises UsageError for a calibration, which is no study to run or to estimate."""
    if study.calibration:
        raise UsageError(f"{study.name!r} uses targets; `budgetscope calibrate` makes such runs, `resume` goes on.")
    return study
