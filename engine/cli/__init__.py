"""`budgetscope`: the command line. Owns arguments, exit codes and the one line an error becomes; does no work itself.

Every verb lives in `engine.console` and is imported when it is called, so `--help` and the reading verbs stay light.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from engine.cli.questions import questions
from engine.cli.whatif import prices, whatif
from engine.core.errors import BudgetscopeError, UnknownName, UsageError

DONE, ERROR, USAGE, STOPPED, FAILED_TRIALS = range(5)
EPILOG = """\
exit codes: 0 done, 1 error, 2 wrong use, 3 stopped (by you or by the ceiling), 4 finished, but some trials failed

Without a verb the dashboard starts. The database is --db, else BUDGETSCOPE_DB, else results.local.duckdb where it
exists, else results.duckdb.
"""


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message[:1].upper()}{message[1:]}; see `{self.prog} --help`.")

    def _check_value(self, action: argparse.Action, value: object) -> None:
        if action.choices is not None and value not in action.choices:
            raise UnknownName("verb", str(value), [str(each) for each in action.choices])


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code. Bad input never ends in a traceback."""
    argv = list(sys.argv[1:] if argv is None else argv)
    try:
        return _act(_parser().parse_args(argv))
    except BudgetscopeError as error:
        return _complain(str(error), USAGE if isinstance(error, UsageError) else ERROR)
    except KeyboardInterrupt:
        return _complain("Interrupted.", STOPPED)
    except BrokenPipeError:
        return _hang_up()
    except Exception as error:
        if "--debug" in argv:
            raise
        return _complain(f"{_unexpected(error)} Add --debug to see where it happened.", ERROR)


def _act(options: argparse.Namespace) -> int:
    if options.version:
        from importlib import metadata

        print(f"budgetscope {metadata.version('budgetscope')}")
        return DONE
    module, _, name = options.act.partition(":")
    act: Callable[[argparse.Namespace], int] = getattr(importlib.import_module(f"engine.cli.{module}"), name)
    from engine.cli.plugged import plugged

    with plugged(options):
        code = act(options)
    sys.stdout.flush()
    return code


def _complain(sentence: str, code: int) -> int:
    from engine.cli.show import tell

    tell(f"budgetscope: {sentence}")
    return code


def _hang_up() -> int:
    """The reader of our output went away: leave quietly, and let the interpreter find an open pipe at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return DONE


def _unexpected(error: Exception) -> str:
    """One line on an error nobody foresaw, and where its traceback was kept."""
    import tempfile
    import traceback

    with tempfile.NamedTemporaryFile("w", prefix="budgetscope-", suffix=".log", delete=False, encoding="utf-8") as log:
        log.writelines(line.encode("utf-8", "replace").decode() for line in traceback.format_exception(error))
    return f"This should not have happened: {type(error).__name__}: {error} (log: {log.name})"


def _parser() -> argparse.ArgumentParser:
    common = _common(argparse.SUPPRESS)
    parser = _Parser(
        prog="budgetscope",
        description="Which model and strategy buys the most accuracy for a budget of tokens, dollars or calls?",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[_common(None)],
    )
    parser.set_defaults(act="serve:serve")
    parser.add_argument("--version", action="store_true", help="say the version and leave")
    _serving(parser)
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", parser_class=_Parser)
    for add in (_runs, _reports, questions, whatif, _lists):
        add(lambda name, act, says: _verb(verbs, common, name, act, says))
    return parser


Add = Callable[[str, str, str], argparse.ArgumentParser]


def _common(default: str | None) -> _Parser:
    """Options that stand before or after the verb."""
    common = _Parser(add_help=False)
    common.add_argument("--db", type=Path, default=default, metavar="PATH", help="database of results")
    debug = False if default is None else default
    common.add_argument("--debug", action="store_true", default=debug, help="show tracebacks")
    return common


def _verb(
    verbs: argparse._SubParsersAction[_Parser],
    common: _Parser,
    name: str,
    act: str,
    says: str,
) -> argparse.ArgumentParser:
    verb = verbs.add_parser(name, help=says, description=f"{says[:1].upper()}{says[1:]}.", parents=[common])
    verb.set_defaults(act=act)
    return verb


def _serving(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("dashboard")
    group.add_argument("--port", type=_port, default=8501, help="port of the dashboard (8501)")
    group.add_argument("--host", default="127.0.0.1", help="address it listens on (127.0.0.1: this machine alone)")
    group.add_argument("--read-only", action="store_true", help="show results, start no runs")
    _plugin(group, "plugin")


def _plugin(where: argparse._ActionsContainer, dest: str = "plugin_of_verb") -> None:
    """Two places to write it, two names: a verb's own would push out what stood before the verb."""
    says = "module with strategies of your own, found in the working directory too; it runs with your rights"
    where.add_argument("--plugin", action="append", metavar="MODULE", dest=dest, help=f"{says} (repeatable)")


def _runs(add: Add) -> None:
    run = add("run", "runs:run", "run a study and store its results")
    run.add_argument("study", type=Path, metavar="STUDY.toml")
    _plugin(run)
    resume = add("resume", "runs:resume", "go on with a run that was stopped, killed or failed")
    resume.add_argument("run", metavar="RUN", help="id, the beginning of one, or 'last'")
    _ceiling(resume)
    stop = add("stop", "runs:stop", "ask a run to stop: calls in flight finish and are kept")
    stop.add_argument("run", metavar="RUN", help="id, the beginning of one, or 'last'")
    stop.add_argument(
        "--now", action="store_true", help="give up calls in flight; they stay charged at their worst case"
    )
    delete = add("delete", "runs:delete", "delete a run with its trials")
    delete.add_argument("run", metavar="RUN", help="id, the beginning of one, or 'last'")
    delete.add_argument("--yes", action="store_true", help="do not ask")
    _calibrate(add("calibrate", "runs:calibrate", "find the smallest token budget per question; uses targets"))
    _as_json(add("runs", "runs:runs", "list the runs of the database"))
    _allowance(add("allowance", "allowance:allowance", "set or show what a day (UTC) allows to all runs together"))


def _allowance(verb: argparse.ArgumentParser) -> None:
    group = verb.add_argument_group("the allowance of a day, charged by all runs of the database")
    group.add_argument("--usd", type=_positive(float), help="dollars a day")
    group.add_argument("--tokens", type=_positive(int), help="tokens a day")
    group.add_argument("--calls", type=_positive(int), help="calls a day")
    group.add_argument("--none", action="store_true", help="no allowance: runs have their own ceilings alone")
    _as_json(verb)


def _calibrate(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("study", type=Path, nargs="?", metavar="STUDY.toml", help="its tasks and models are calibrated")
    group = verb.add_argument_group("without a study")
    group.add_argument("--task", help="one task")
    group.add_argument("--model", help="one model")
    group.add_argument("--questions", type=_positive(int), metavar="N", help="how many questions of the task")
    how = "plain: as long as the answer is right (plain); greedy: and takes fewer tokens than before"
    verb.add_argument("--feasibility", default="plain", help=how)
    verb.add_argument("--ceiling-tokens", type=_positive(int), metavar="N", help="tokens the run may spend")
    verb.add_argument("--ceiling-usd", type=_positive(float), metavar="USD", help="dollars the run may spend")
    verb.add_argument("--out", type=Path, metavar="FILE", help="write every question to a .jsonl or .csv file")
    _plugin(verb)


def _ceiling(verb: argparse.ArgumentParser) -> None:
    group = verb.add_argument_group("a new ceiling for the run")
    group.add_argument("--usd", type=_positive(float), help="dollars in all, those already spent included")
    group.add_argument("--tokens", type=_positive(int), help="tokens in all")
    group.add_argument("--calls", type=_positive(int), help="calls in all")


def _reports(add: Add) -> None:
    estimate = add("estimate", "estimates:estimate", "say what a study will cost, and at most; calls no model")
    estimate.add_argument("study", type=Path, metavar="STUDY.toml")
    _plugin(estimate)
    estimate.add_argument(
        "--pilot", type=_positive(int), metavar="N", help="first run the first N questions of each task, to learn from"
    )
    _as_json(estimate)
    report = add("report", "reports:report", "accuracy against spend, with intervals and the frontier")
    report.add_argument("--axis", help="axis of the budgets to report (default: what the runs used)")
    report.add_argument("--x", help="what the frontier weighs accuracy against (default: the axis)")
    report.add_argument("--task", help="one task only")
    report.add_argument("--curve", metavar="CONDITION", help="accuracy of one condition at every budget")
    prices(report)
    _as_json(report)
    bill = add("bill", "bills:bill", "say what runs were billed, replayed, and would cost afresh")
    bill.add_argument("run", nargs="?", metavar="RUN", help="id, the beginning of one, or 'last' (all runs)")
    bill.add_argument("--by", default="role", help="role or condition (role)")
    _as_json(bill)
    export = add("export", "reports:export", "write a table to a file")
    export.add_argument("--table", default="trials", help="which table (trials)")
    export.add_argument("--format", default="csv", help="csv, jsonl or parquet (csv)")
    export.add_argument("--out", type=Path, required=True, metavar="FILE")


def _lists(add: Add) -> None:
    strategies = add("strategies", "lists:strategies", "list the strategies with their parameters")
    _plugin(strategies)
    _as_json(strategies)
    _as_json(add("tasks", "lists:tasks", "list the tasks that come along"))
    models = add("models", "lists:models", "list the models that come along, and how to name others")
    models.add_argument("word", nargs="?", help="list all known models whose name holds this")
    _as_json(models)
    doctor = add("doctor", "doctor:doctor", "check this installation and say what to mend")
    _plugin(doctor)
    _as_json(doctor)


def _as_json(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--json", action="store_true", help="as JSON")


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text[:9]) <= 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: it is a number from 1 to 65535")
    return int(text)


def _positive(kind: type[int] | type[float]) -> Callable[[str], int | float]:
    def read(text: str) -> int | float:
        try:
            value = kind(text)
        except ValueError:
            value = 0
        if not 0 < value <= 10**12:
            raise argparse.ArgumentTypeError(f"{text!r} is no positive number")
        return value

    return read
