"""Strategies from modules of one's own: in the lists, in runs and on the pages; a broken one is a sentence, never more."""

from __future__ import annotations

import json
import os
import shutil
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from engine import strategies, tasks
from engine.cli import serve
from engine.core import registry as doors
from engine.core import toml
from engine.core.errors import UnknownName, UsageError
from engine.interop import IMPORTERS
from engine.runs import run_dir, worker
from engine.store.store import Store
from engine.strategies import plugins, registry
from engine.study.schema import as_json, load, parse
from engine.tasks.scorers import SCORERS
from engine.testing import StrategyContract
from tests import ROOT
from tests.support import killer, stores
from tests.support.pages import run_page

EXAMPLE = ROOT / "examples" / "my_strategy.py"
MINE = '''
from dataclasses import dataclass
from engine.strategies import strategy

@strategy("mine", anytime=True, family="voting", calls="times")
@dataclass(frozen=True)
class Mine:
    """Say it."""

    times: int = 1
    calls = property(lambda self: self.times)

    async def solve(self, problem, session):
        yield (await session.ask(problem.text, 16)).text
'''
STUDY = """
name = "sums"
budgets = [600]
models = ["scripted/adder"]
tasks = ["file:sums.csv"]
strategies = ["two_agree", {name = "two_agree", most = 3}]
[ceiling]
tokens = 5_000_000
"""


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A process that never saw a plugin, and forgets those it sees."""
    monkeypatch.delenv(doors.PLUGINS, raising=False)
    monkeypatch.setattr(sys, "path", [*sys.path])
    strategies.builtin()
    before, modules = registry.registered(), set(sys.modules)
    for kept in (plugins._faults, plugins._origins, plugins._asked):
        kept.clear()
    yield
    registry.restore(before)
    for kept in (plugins._faults, plugins._origins, plugins._asked):
        kept.clear()
    for name in set(sys.modules) - modules:
        file = str(getattr(sys.modules[name], "__file__", None))
        # A library stays, wherever the environment lies: half of it imported anew is no library.
        if file.startswith(("/tmp", str(ROOT / "examples"))) and "site-packages" not in file:
            del sys.modules[name]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder with the example, a study that needs it, and questions."""
    (tmp_path / "my_strategy.py").write_text(EXAMPLE.read_text())
    rows = "\n".join(f"What is {a} + {a * 7} ?,{a * 8}" for a in range(1, 161))
    (tmp_path / "sums.csv").write_text(f"question,answer\n{rows}\n")
    (tmp_path / "sums.toml").write_text(STUDY)
    (tmp_path / "elsewhere").mkdir()
    return tmp_path


# What is let in, and what is left out


BROKEN = {
    "a module that is not there": (None, "no module 'broken' in .* beside the study or among the installed packages"),
    "a mistake in the syntax": ("x = = 1", "broken.py has a mistake in line 1: invalid syntax"),
    "an import that fails": (
        "import nowhere_to_be_found",
        r"No module named 'nowhere_to_be_found' \(broken.py, line 1\)",
    ),
    "an import that raises": (
        "def f():\n    return 1 / 0\nf()",
        r"ZeroDivisionError: division by zero \(broken.py, line 2\)",
    ),
    "an import that leaves": ("raise SystemExit(4)", "ended with SystemExit: 4"),
    "no strategy in it": ("x = 1", "registers no strategy"),
    "a name that exists": (MINE.replace('"mine"', '"direct"'), "'direct', and there is one of that name already"),
    "a name for no table": (MINE.replace('"mine"', '"My own!"'), "needs a name of small letters"),
    "a class that can change": (MINE.replace("frozen=True", ""), "'mine' is no frozen dataclass"),
    "no dataclass": (
        MINE.replace("@dataclass(frozen=True)", "").replace(": int = 1", " = 1"),
        "is no frozen dataclass",
    ),
    "no solve": (MINE.replace("solve", "salve"), "'mine' has no solve"),
    "a solve that is no generator": (
        MINE.replace("async def", "def").replace("await ", ""),
        "no asynchronous generator",
    ),
    "a solve with other arguments": (
        MINE.replace("problem, session", "session"),
        "does not take a problem and a session",
    ),
    "a parameter without default": (MINE.replace("times: int = 1", "times: int"), "no plain default for times"),
    "a default out of range": (
        MINE.replace("int = 1", "int = 0"),
        "would not take itself: .* times from 1 to 1,000,000",
    ),
    "a default of another type": (MINE.replace("int = 1", "int = 1.5"), "takes times as int"),
    "a default that is a list": (MINE.replace("int = 1", "tuple = ()"), "mine"),
    "a parameter called name": (MINE.replace("times: int", "name: int").replace("self.times", "1"), "a parameter name"),
    "calls that cannot be told": (MINE.replace("self.times", "self.tries"), "cannot say its calls"),
    "no calls": (MINE.replace("calls = property", "cost = property"), "'mine' has no calls; write `calls = 2`"),
    "calls that are no number": (MINE.replace("self.times", "'one'"), "needs a property calls"),
}


@pytest.mark.parametrize(
    ("source", "reason"),
    list(BROKEN.values())[:16] + list(BROKEN.values())[17:],
    ids=[name for name in BROKEN if name != "a default that is a list"],
)
def test_a_broken_plugin_is_one_sentence_and_leaves_nothing_behind(
    tmp_path: Path, source: str | None, reason: str
) -> None:
    if source is not None:
        (tmp_path / "broken.py").write_text(source)
    before = registry.registered()
    fault = plugins.load("broken", [tmp_path])
    assert fault is not None and "\n" not in str(fault)
    assert str(fault).startswith("Plugin 'broken' was left out: ") and str(fault).endswith(".")
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(str(fault))
    assert registry.registered() == before and plugins.faults() == (fault,)
    with pytest.raises(UnknownName, match=r"'mine': .*Plugin 'broken' was left out"):
        strategies.entry("mine")


@pytest.mark.parametrize("name", ["my_strategy.py", "./my_strategy", "", "a..b", "1st", "../../etc", "x y", "\x1b[31m"])
def test_a_plugin_that_is_not_named_like_a_module_is_told_so(name: str) -> None:
    assert "named like a module" in str(plugins.load(name))


def test_one_bad_strategy_leaves_out_the_whole_plugin(tmp_path: Path) -> None:
    (tmp_path / "pair.py").write_text(MINE + MINE.replace('"mine"', '"theirs"').replace("solve", "salve"))
    assert "'theirs' has no solve" in str(plugins.load("pair", [tmp_path]))
    assert not {"mine", "theirs"} & set(strategies.entries())


def test_a_plugin_that_was_mended_comes_in_at_the_next_try(tmp_path: Path) -> None:
    (tmp_path / "mended.py").write_text("1/0")
    assert plugins.load("mended", [tmp_path]) is not None
    (tmp_path / "mended.py").write_text(MINE + "\n# longer than before, so that no cache is taken for it\n")
    assert plugins.load("mended", [tmp_path]) is None and plugins.faults() == ()
    assert plugins.load("mended", [tmp_path]) is None and "mine" in strategies.entries()


def test_a_module_of_the_standard_library_is_no_plugin_and_stays_loaded() -> None:
    assert "registers no strategy" in str(plugins.load("json"))
    assert sys.modules["json"] is json


def test_the_environment_and_installed_packages_are_looked_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "given-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: given\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{plugins.GROUP}]\ngood = given_strategies\nbad = not_given\n")
    (tmp_path / "given_strategies.py").write_text(MINE)
    (tmp_path / "from_env.py").write_text(MINE.replace('"mine"', '"enviable"'))
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    monkeypatch.setenv(doors.PLUGINS, " from_env ,absent,")
    assert {"mine", "enviable"} <= set(strategies.entries())
    assert [fault.plugin for fault in plugins.faults()] == ["absent", f"bad of {plugins.GROUP}"]
    strategies.entries()
    assert len(plugins.faults()) == 2


@pytest.mark.parametrize("names", [tasks.task_names, lambda: SCORERS.names(), lambda: IMPORTERS.names()])
def test_what_an_installed_package_brings_is_known_to_whoever_asks_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: Callable[[], tuple[str, ...]]
) -> None:
    info = tmp_path / "given-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: given\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{plugins.GROUP}]\ngood = my_task\n")
    shutil.copyfile(ROOT / "examples" / "my_task.py", tmp_path / "my_task.py")
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    before = doors.registered()
    try:
        assert {"squares", "near", "plain_lines"} & set(names())
    finally:
        doors.restore(before)


# Studies and runs


def test_a_study_loads_its_plugins_only_where_it_is_being_worked_on(home: Path) -> None:
    (home / "own.toml").write_text(f'plugins = ["my_strategy"]\n{STUDY}')
    with pytest.raises(
        UsageError, match=r"Unknown strategy 'two_agree'.*'my_strategy' was left out.*only looks at studies"
    ):
        load(home / "own.toml")
    assert "my_strategy" not in sys.modules
    with plugins.trusting():
        study = load(home / "own.toml")
    assert study.plugins == ("my_strategy",) and as_json(study)["plugins"] == ["my_strategy"]
    assert load(home / "own.toml").plugins == ("my_strategy",), "what is in is known everywhere"


@pytest.mark.parametrize("value", ['"my_strategy"', "[]", "[1]", '[""]', "3"])
def test_rubbish_in_the_key_is_a_sentence(home: Path, value: str) -> None:
    with pytest.raises(UsageError, match="plugins in .* must be a list"):
        parse(f"plugins = {value}\n{STUDY}", "x.toml", home)


def test_a_study_without_plugins_is_stored_as_ever(home: Path) -> None:
    study = parse(STUDY.replace("two_agree", "direct").replace(", most = 3", ", answer_tokens = 7"), "x", home)
    assert "plugins" not in as_json(study)
    assert plugins.noted(study.text, ("direct",)) == study.text


@pytest.mark.parametrize(
    "written", ["", 'plugins = ["other"]\n', 'plugins = [ # mine\n  "other",\n]\nplugin_folders = ["x"]\n']
)
def test_a_run_names_the_plugin_and_its_folder_in_its_own_study(home: Path, written: str) -> None:
    plugins.load("my_strategy", [home])
    text = plugins.noted(f"{written}{STUDY}", ("direct", "two_agree"))
    found, before = toml.parse(text, "x"), toml.parse(f"{written}{STUDY}", "x")
    assert found["plugins"] == [*before.get("plugins", ()), "my_strategy"]
    assert found["plugin_folders"] == [*before.get("plugin_folders", ()), str(home)]
    assert {k: v for k, v in found.items() if k not in ("plugins", "plugin_folders")} == {
        k: v for k, v in before.items() if k not in ("plugins", "plugin_folders")
    }
    assert plugins.noted(text, ("two_agree",)) == text


def test_the_example_is_listed_estimated_run_killed_and_resumed_from_elsewhere(home: Path) -> None:
    listed = killer.said(home, "strategies", "--plugin", "my_strategy", "--json")
    assert "two_agree" in {each["name"] for each in json.loads(listed.out)} and not listed.err
    assert killer.said(home, "run", "sums.toml").code == 2
    assert killer.said(home, "estimate", "sums.toml", "--plugin", "my_strategy").code == 0
    run = killed_half_way(home, "run", "sums.toml", "--plugin", "my_strategy", "--db", "r.duckdb")
    assert toml.parse(run.study.read_text(), "x")["plugins"] == ["my_strategy"]
    done = killer.said(home / "elsewhere", "resume", "last", "--db", "../r.duckdb")
    assert done.code == 0, done.err
    assert "320 of 320 trials" in done.out.splitlines()[-1] and "Traceback" not in done.err
    lines = run.journal.read_text().splitlines()
    keys = [entry["completion"]["key"] for entry in map(json.loads, lines) if entry.get("completion")]
    assert len(keys) == len(set(keys)) > 320
    assert "Two agree" in killer.said(home, "report", "--db", "r.duckdb").out


def test_tasks_of_a_plugin_are_listed_too(home: Path) -> None:
    (home / "my_task.py").write_text((ROOT / "examples" / "my_task.py").read_text())
    assert "squares" in json.loads(killer.said(home, "tasks", "--plugin", "my_task", "--json").out)


def killed_half_way(home: Path, *command: str) -> run_dir.RunDir:
    """The run, killed as soon as its journal holds anything."""
    child = killer.start(command, home / "out", folder=home)
    killer.until(
        lambda: not child.is_alive() or any(path.stat().st_size for path in home.glob("r.runs/*/journal.jsonl"))
    )
    child.kill()
    child.join()
    (known,) = run_dir.list_runs(home / "r.duckdb")
    assert known.state == "dead", (home / "out").read_text()
    return run_dir.find(home / "r.duckdb", known.run_id)


def test_the_command_goes_on_without_a_broken_plugin(home: Path) -> None:
    (home / "broken.py").write_text("1/0")
    said = killer.said(home, "strategies", "--plugin", "broken", "--plugin", "my_strategy")
    assert said.code == 0 and "two_agree: Draw chains" in said.out
    assert said.err.startswith("budgetscope: Plugin 'broken' was left out: ") and said.err.count("\n") == 1
    refused = killer.said(home, "run", "sums.toml", "--plugin", "broken")
    assert refused.code == 2 and refused.err.count("Plugin 'broken' was left out") == 2
    assert "Unknown strategy 'two_agree'" in refused.err and "Traceback" not in refused.err


def test_doctor_names_each_plugin_and_each_fault(home: Path) -> None:
    found = json.loads(killer.said(home, "--plugin", "absent", "doctor", "--plugin", "my_strategy", "--json").out)
    said = {each["grade"]: each["says"] for each in found if each["what"] == "plugin"}
    assert said["ok"] == "my_strategy gives the strategy two_agree; it runs with your rights"
    assert "'absent' was left out" in said["warn"]


# Pages


def test_the_dashboard_is_told_of_plugins_by_its_environment(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)
    monkeypatch.setenv(doors.PLUGINS, "first")
    given = serve.environment(Path("r.duckdb"), "127.0.0.1", serve.Wishes(modules=("my_strategy",)))
    assert given[doors.PLUGINS] == "first,my_strategy" and given[doors.PLUGIN_FOLDERS].split(os.pathsep) == [str(home)]
    monkeypatch.delenv(doors.PLUGINS)
    assert doors.PLUGINS not in doors.child_environment(())


@pytest.fixture
def db(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = stores.one_trial(home / "results.duckdb")
    plugins._asked.clear()
    monkeypatch.setenv("BUDGETSCOPE_DB", str(made))
    return made


Open = Callable[..., AppTest]


def opened(view: str, **query: str) -> AppTest:
    app = run_page(view, **query)
    assert not app.exception, app.exception[0].value
    return app


def words(app: AppTest) -> str:
    return "\n".join(str(e.value) for e in [*app.markdown, *app.caption, *app.warning]).replace("\\", "")


def test_the_method_page_shows_a_plugin_s_strategy_and_what_was_left_out(
    home: Path, db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(doors.PLUGINS, "my_strategy,absent")
    monkeypatch.setenv(doors.PLUGIN_FOLDERS, str(home))
    app = opened("help", strategy="two_agree")
    assert "two_agree" in set(app.dataframe[0].value["Strategy"])
    said = words(app)
    assert "Budget: up to most chains, one after the other" in said
    assert "From the plugin my_strategy, which runs with the rights of this server." in said
    assert "Plugin 'absent' was left out" in said


def test_no_address_and_no_study_makes_the_dashboard_load_a_plugin(
    home: Path, db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BUDGETSCOPE_READ_ONLY", "1")
    (home / "evil.py").write_text(f"open({str(home / 'loaded')!r}, 'w').close()")
    monkeypatch.setattr(sys, "path", [*sys.path, str(home)])
    run = worker.prepare(parse(SMALL, "x", home), db)
    run.study.write_text(f'plugins = ["evil"]\n{SMALL}')
    for view in ("help", "runs", "explore", "answers"):
        opened(view, plugin="evil", plugins="evil", strategy="evil", run=run.run_id, study=str(run.study))
    assert not (home / "loaded").exists() and "evil" not in sys.modules
    assert plugins.load("evil") and (home / "loaded").exists(), "it would have been seen"


SMALL = 'name = "s"\nbudgets = [9]\nmodels = ["scripted/adder"]\ntasks = ["file:sums.csv"]\nstrategies = ["direct"]\n'


# The public contract


def test_the_example_is_short() -> None:
    assert sum(bool(line.strip()) for line in EXAMPLE.read_text().splitlines()) <= 20


class TestTheExample(StrategyContract):
    strategy = "two_agree"

    @pytest.fixture(autouse=True)
    def _loaded(self, _as_before: None) -> None:
        assert plugins.load("my_strategy", [EXAMPLE.parent]) is None


def test_a_run_of_the_example_answers_only_where_two_agree(home: Path) -> None:
    plugins.load("my_strategy", [home])
    db = home / "r.duckdb"
    worker.run(worker.prepare(parse(STUDY, "x", home), db), lambda _: None)
    trials = [t for c in (row.condition_id for row in _conditions(db)) for t in Store(db).trials(c)]
    assert len(trials) == 320
    assert {len(t.marks) for t in trials} <= {0, 1}
    assert all(len(t.calls) >= 2 for t in trials)


def _conditions(db: Path) -> list[Namespace]:
    import engine

    return [Namespace(**row) for row in engine.open(db).conditions().to_dicts()]
