"""The house rules: who may import whom, how heavy an import is, and how long a file gets."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT
from tests.mutations import MUTANTS

FILES = sorted(path for folder in ("engine", "dashboard") for path in (ROOT / folder).rglob("*.py"))
SHARED = {"calibration", "chain", "lineups", "plugins", "registry", "retrieval"}
"""Of the strategies' room: what is no strategy to choose."""
STRATEGIES = sorted(p for p in (ROOT / "engine" / "strategies").glob("[!_]*.py") if p.stem not in SHARED)
HEAVY = {
    "litellm",
    "duckdb",
    "polars",
    "streamlit",
    "numpy",
    "plotly",
    "xllamacpp",
    "reasoning_gym",
    "tiktoken",
    "pyarrow",
    "bm25s",
    "ray",
}
LONGEST = 600
"""Lines of a file: a file holds one idea whole, and what is longer holds two."""


TELL = """print("loaded:", json.dumps(sorted({name.split('.')[0] for name in sys.modules})), file=sys.stderr)"""


def loaded_by(*code: str) -> list[set[str]]:
    """Top-level packages that a fresh interpreter has loaded after each of some pieces of code."""
    script = "\n".join(["import json, sys", *(line for piece in code for line in (piece, TELL))])
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True)
    lines = [line.removeprefix("loaded: ") for line in done.stderr.splitlines() if line.startswith("loaded: ")]
    assert len(lines) == len(code)
    return [set(json.loads(line)) for line in lines]


def verb(*argv: str) -> str:
    """The code of a command."""
    return f"from engine.cli import main\ntry:\n    main({list(argv)!r})\nexcept SystemExit:\n    pass"


def test_the_core_imports_nothing_heavy() -> None:
    pieces = (
        "import engine",
        "import engine.trial.session, engine.trial.solve",
        "from engine.strategies import entries; entries()",
        "import engine.study.schema",
        "import engine.models, engine.tasks",
        "import engine.runs.run_dir",
        "import engine.cli",
    )
    # What one piece loads stays loaded: the first with something heavy is the one to look at.
    assert {
        piece: heavy for piece, each in zip(pieces, loaded_by(*pieces), strict=True) if (heavy := each & HEAVY)
    } == {}


# The bundled model is loaded by doctor in a process of its own, which says nothing of this one.
NO_CHILDREN = "import subprocess; subprocess.run = lambda *a, **k: subprocess.CompletedProcess(a, 0, '', '')"


def test_a_reading_verb_loads_no_provider_server_or_page(tmp_path: Path) -> None:
    verbs = (
        *(["--help"], ["run", "--help"], ["strategies"], ["tasks"], ["models"]),
        *(["models", "gpt-4o-mini"], ["runs"], ["doctor"]),
    )
    _, *found = loaded_by(NO_CHILDREN, *(verb(*each, "--db", str(tmp_path / "r.duckdb")) for each in verbs))
    unfit = {"litellm", "streamlit", "xllamacpp", "reasoning_gym"}
    assert {tuple(each): both for each, loaded in zip(verbs, found, strict=True) if (both := loaded & unfit)} == {}


def test_a_run_loads_neither_pandas_nor_what_other_questions_are_made_with(tmp_path: Path) -> None:
    study = tmp_path / "s.toml"
    study.write_text(
        'name = "s"\nbudgets = [64]\nmodels = ["scripted/adder"]\nstrategies = ["direct"]\n'
        'tasks = [{ name = "gym:chain_sum", questions = 2 }]\n'
    )
    [loaded] = loaded_by(verb("run", str(study), "--db", str(tmp_path / "r.duckdb")))
    assert not loaded & {"pandas", "sympy", "matplotlib", "litellm", "streamlit", "plotly"}


def test_help_loads_the_standard_library_and_click() -> None:
    [loaded] = loaded_by(verb("--help"))
    ours = loaded - set(sys.stdlib_module_names)
    assert not {name for name in ours if not name.startswith("_")} - {
        "engine",
        "click",
        "distutils-precedence",
        "sitecustomize",
    }


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_opens_with_what_it_owns_and_stays_short(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= LONGEST
    assert not text.strip() or ast.get_docstring(ast.parse(text)), "no module docstring"


@pytest.mark.parametrize("path", STRATEGIES, ids=lambda path: path.stem)
def test_a_strategy_sees_no_sibling_but_the_chain(path: Path) -> None:
    siblings = {f"engine.strategies.{other.stem}" for other in STRATEGIES}
    assert not imported(path) & siblings


@pytest.mark.parametrize("path", STRATEGIES, ids=lambda path: path.stem)
def test_a_strategy_holds_no_client_clock_logger_or_try(path: Path) -> None:
    forbidden = {
        "asyncio",
        "random",
        "logging",
        "time",
        "duckdb",
        "litellm",
        "engine.runs.completion_cache",
        "engine.store.store",
        "engine.runs.dispatcher",
    }
    assert not imported(path) & forbidden
    assert not any(isinstance(node, ast.Try) for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


def test_every_mutant_has_its_one_place_and_tests_that_are_there() -> None:
    for mutant in MUTANTS:
        assert (ROOT / mutant.file).read_text(encoding="utf-8").count(mutant.old) == 1, mutant.name
        file, *chosen = mutant.tests
        written = (ROOT / file).read_text(encoding="utf-8")
        words = re.findall(r"\w{4,}", " ".join(chosen))
        assert all(re.search(rf"(def|class) \w*{word}", written, re.IGNORECASE) for word in words), mutant.name


def imported(path: Path) -> set[str]:
    """Modules a file imports anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found
