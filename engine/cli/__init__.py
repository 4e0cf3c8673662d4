"""`budgetscope`: the command line. Owns the list of verbs, and the one line and the exit code that an error becomes.

| exit code | meaning                            |
| --------- | ---------------------------------- |
| 0         | done                               |
| 1         | error, or a check that failed      |
| 2         | wrong use                          |
| 3         | stopped, or a check is undecided   |
| 4         | finished, but some trials failed   |

A verb stands in a module of this room with its arguments, in one of `reading` where it reads what is stored; the module
is imported when the verb is called, so that `--help` loads click and the standard library alone.
"""

from __future__ import annotations

import importlib
import keyword
import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click

from engine.cli import options
from engine.cli.options import DONE, ERROR, EXIT_CODES, STOPPED, USAGE, option
from engine.core.errors import BudgetscopeError, UnknownName, UsageError

VERBS = {
    "run": ("runs", "run a study and store its results"),
    "resume": ("runs", "go on with a run that was stopped, killed or failed"),
    "stop": ("runs", "ask a run to stop: calls in flight finish and are kept"),
    "delete": ("runs", "delete a run with its trials"),
    "archive": ("archives", "move a study into a folder of Parquet files that is read in place"),
    "restore": ("archives", "bring an archived study back into the database"),
    "forget": ("archives", "remove the texts of prompts and replies, by age or of a study; results stay"),
    "calibrate": ("calibrations", "find the smallest token budget per question; uses targets"),
    "runs": ("runs", "list the runs of the database"),
    "allowance": ("money", "set or show what a day (UTC) allows to all runs together"),
    "estimate": ("estimates", "say what a study will cost, and at most; calls no model"),
    "report": ("reading.reports", "accuracy against spend, with intervals and the frontier"),
    "share": ("reading.reports", "write what a task's settings buy to one page that works offline, or as Markdown"),
    "bill": ("money", "say what runs were billed, replayed, and would cost afresh"),
    "import": ("imports", "bring in logs of other tools, or another database of results"),
    "export": ("reading.export", "write a table, a study's answers, a study as a database, or records for other tools"),
    "advise": ("reading.advise", "say what to choose on a task, with the evidence"),
    "compare": ("reading.advise", "one setting against another on the questions both have"),
    "check": ("check", "a gate for CI: pass, fail or undecided on spend, accuracy and a baseline"),
    "judge": ("reading.judging", "say how well a judge model agrees with people, on a sample of its answers"),
    "probe": ("probes", "how much of a thought was needed: stop stored thoughts early and let the model answer"),
    "rewards": ("reading.rewards", "what published length rewards make of stored thoughts; rows to train on"),
    "savings": ("reading.savings", "what a month costs with one setting and with a cheaper one, and who loses"),
    "tokens": (
        "reading.tokens",
        "a text cut into tokens, what it costs and fills, or where a study's tokens went",
    ),
    "strategies": ("lists", "list the strategies with their parameters"),
    "tasks": ("lists", "list the tasks that come along, and those of plugins"),
    "models": ("lists", "list the models that come along, and how to name others; test one"),
    "doctor": ("doctor", "check this installation and say what to mend"),
    "completion": ("lists", "print what makes a shell complete verbs, options, runs, tasks and models"),
}
"""Verb: the module of this room it stands in, and what it does."""
COMPLETION = "_BUDGETSCOPE_COMPLETE"
"""Variable in which a shell says what it wants completed."""
_WHERE = (
    "Without a verb the dashboard starts. The database is --db, else BUDGETSCOPE_DB, else results.local.duckdb where "
    "it exists, else results.duckdb, else the demo that came along."
)


class LazyGroup(options.Helped, click.Group):
    """Imports the module of the verb that is called, and of no other."""

    stops = VERBS

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The verbs in the order of a user's day."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """The verb, with what the list says of it."""
        if name not in VERBS:
            return None
        module, says = VERBS[name]
        # Python keeps `import` for itself.
        act = f"{name}_" if keyword.iskeyword(name) else name
        verb: click.Command = getattr(importlib.import_module(f"engine.cli.{module}"), act)
        # The list's words: a docstring of an act is written for readers of the code.
        verb.help = f"{says[0].upper()}{says[1:]}."
        verb.context_settings = self.context_settings
        return verb

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Raises UnknownName with the nearest verb, unless a shell is only completing."""
        if args[0] not in VERBS and not ctx.resilient_parsing:
            raise UnknownName("verb", args[0], VERBS)
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        """Verbs from the list and options: completing one imports none of them."""
        from click.shell_completion import CompletionItem

        # From the list: completing a verb imports none of them.
        verbs = [CompletionItem(name, help=says) for name, (_, says) in VERBS.items() if name.startswith(incomplete)]
        return verbs + click.Command.shell_complete(self, ctx, incomplete)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The options, and the verbs without importing them."""
        super().format_options(ctx, formatter)
        with formatter.section("Verbs"):
            formatter.write_dl([(name, says) for name, (_, says) in VERBS.items()])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The table of exit codes, and which database is meant."""
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(code), meaning) for code, meaning in EXIT_CODES.items()])
        formatter.write_paragraph()
        formatter.write_text(_WHERE)


def _version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from importlib import metadata

        click.echo(f"budgetscope {metadata.version('budgetscope')}")
        ctx.exit()


@click.command(
    cls=LazyGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
    help="Which model and strategy buys the most accuracy for a budget of tokens, dollars or calls?",
)
@option("--version", is_flag=True, expose_value=False, callback=_version, help="say the version and leave")
@option("--port", type=options.port, default="8501", group="Dashboard", help="port of the dashboard (8501)")
@option("--host", default="127.0.0.1", group="Dashboard", help="address it listens on (127.0.0.1: this machine alone)")
@option("--read-only", is_flag=True, group="Dashboard", help="show results, start no runs")
@option("--no-browser", is_flag=True, group="Dashboard", help="say the address and open no browser")
@option("--no-token", is_flag=True, group="Dashboard", help="whoever reaches the port of this machine may start runs")
@option("--private", is_flag=True, group="Dashboard", help="looking takes the printed link (or the launch token) too")
@option(
    *("--allow-host", "hosts"),
    multiple=True,
    metavar="NAME",
    group="Dashboard",
    help="name the dashboard answers to besides its address, such as a proxy's (repeatable)",
)
@option(
    *("--allow-endpoint", "endpoints"),
    multiple=True,
    metavar="NAME=URL,KEY_VAR",
    group="Dashboard",
    help="endpoint that runs started from a page may ask, and the variable of the key that may go there (repeatable)",
)
@option(
    *("--allow-endpoints", "endpoint_file"),
    type=Path,
    metavar="FILE.toml",
    group="Dashboard",
    help="the same, as [[endpoints]] tables with name, url and key",
)
@options.plugin
@click.pass_context
def budgetscope(ctx: click.Context, /, port: int, host: str, **wishes: Any) -> int | None:
    """Without a verb: the dashboard."""
    if ctx.invoked_subcommand is not None:
        return None
    modules = tuple(ctx.meta.get(options.PLUGINS, ()))
    # Its own process asks for plugins: this one only sees that those that were named can be loaded.
    with options.plugged(ctx) if modules else nullcontext():
        from engine.cli import serve
        from engine.models import reach

        file = wishes.pop("endpoint_file")
        listed = [*map(reach.listed, wishes.pop("endpoints")), *(() if file is None else reach.read(file))]
        asked = serve.Wishes(**wishes, modules=modules, endpoints=tuple(listed))
        return serve.serve(options.database(ctx), host, port, asked)


# In front, so that --help lists them first.
budgetscope.params[:0] = [options.db_option(), options.debug_option()]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code. Bad input never ends in a traceback."""
    args = list(sys.argv[1:] if argv is None else argv)
    try:
        try:
            if instruction := os.environ.get(COMPLETION):
                from click.shell_completion import shell_complete

                return shell_complete(budgetscope, {}, "budgetscope", COMPLETION, instruction)
            # a copy: click takes the list apart
            with budgetscope.make_context("budgetscope", [*args]) as ctx:
                code = int(budgetscope.invoke(ctx))
        # How click leaves after --help and --version.
        except click.exceptions.Exit as exit:
            code = exit.exit_code
        # now, while a reader that went away can still be answered quietly
        sys.stdout.flush()
        return code
    except click.UsageError as error:
        return _complain(_sentence(error), USAGE)
    except BudgetscopeError as error:
        return _complain(str(error), USAGE if isinstance(error, UsageError) else ERROR)
    except KeyboardInterrupt:
        return _complain("Interrupted.", STOPPED)
    except BrokenPipeError:
        # leave quietly, and let the interpreter find an open pipe when it flushes at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except OSError as error:
        if "--debug" in args:
            raise
        from engine.core import files

        # A disk, a right, a name: nothing of ours is broken.
        return _complain(f"{error.filename or 'A file'} cannot be used: {files.why(error)}.", ERROR)
    except Exception as error:
        # Looked for among the words: what broke may be the reading of options.
        if "--debug" in args:
            raise
        import tempfile
        import traceback

        with tempfile.NamedTemporaryFile(
            "w", prefix="budgetscope-", suffix=".log", delete=False, encoding="utf-8"
        ) as log:
            # a file name on disk may hold bytes that are no text
            log.writelines(line.encode("utf-8", "replace").decode() for line in traceback.format_exception(error))
        what = f"{type(error).__name__}: {error} (log: {log.name})"
        return _complain(f"This should not have happened: {what} Add --debug to see where it happened.", ERROR)


def _complain(sentence: str, code: int) -> int:
    from engine.cli.show import tell

    tell(f"budgetscope: {sentence}")
    return code


def _sentence(error: click.UsageError) -> str:
    """What click found wrong, with the nearest option, and where the options are listed."""
    path = "budgetscope" if error.ctx is None else error.ctx.command_path
    if isinstance(error, click.NoSuchOption) and error.ctx is not None:
        known = [name for param in error.ctx.command.get_params(error.ctx) for name in param.opts if name[0] == "-"]
        return str(UnknownName("option", error.option_name, known, f"See `{path} --help`."))
    what = error.message.rstrip(".")
    if isinstance(error, click.BadParameter) and error.param is not None:
        param = error.param
        ctx = error.ctx or click.Context(budgetscope)
        name = param.opts[0] if isinstance(param, click.Option) else param.make_metavar(ctx)
        missing = isinstance(error, click.MissingParameter)
        what = f"The following arguments are required: {name}" if missing else f"Argument {name}: {what}"
    return f"{what[:1].upper()}{what[1:]}; see `{path} --help`."
