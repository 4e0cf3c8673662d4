"""What pip installs works outside of a clone: demo, examples and questions are inside, results go to where one works."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path
from urllib.request import urlopen

import pytest
from packaging.requirements import Requirement

from tests import ROOT
from tests.engine.tasks.test_stored import KEPT
from tests.support.children import spawned


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's contents, as pip unpacks them; what it depends on is there."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    [wheel] = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site-packages")
    return folder / "site-packages"


def environment(installed: Path) -> dict[str, str]:
    """One in which nothing of the clone is found, nor reasoning-gym."""
    absent = installed.parent / "absent"
    absent.mkdir(exist_ok=True)
    # Found first, and refuses: an import would fail as if it were not there, and looking for it finds nothing.
    (absent / "sitecustomize.py").write_text("import sys\nsys.modules['reasoning_gym'] = None\n")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BUDGETSCOPE_")}
    return kept | {
        "PYTHONPATH": f"{absent}{os.pathsep}{installed}",
        "PYTHONSAFEPATH": "1",
        "XDG_CACHE_HOME": str(absent),
    }


def budgetscope(installed: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "engine", *words]
    return subprocess.run(command, cwd=folder, env=environment(installed), capture_output=True, text=True, check=False)


def test_demo_examples_and_questions_are_inside_and_tests_are_not(installed: Path) -> None:
    shipped = installed / "engine" / "shipped"
    assert (shipped / "results.duckdb").read_bytes() == (ROOT / "results.duckdb").read_bytes()
    names = [path.name for path in (ROOT / "examples").iterdir() if path.name != "__pycache__"]
    assert sorted(path.name for path in (shipped / "examples").iterdir()) == sorted(names)
    assert len([*(installed / "engine" / "tasks" / "gym" / "stored").iterdir()]) == len(KEPT)
    assert (installed / "dashboard" / ".streamlit" / "config.toml").is_file()
    assert sorted(path.name for path in installed.iterdir() if path.suffix != ".dist-info") == ["dashboard", "engine"]


def test_what_takes_a_compiler_is_asked_for_by_an_extra_alone(installed: Path) -> None:
    [metadata] = installed.glob("*.dist-info/METADATA")
    wanted = [Requirement(line) for line in Parser().parsestr(metadata.read_text()).get_all("Requires-Dist", [])]
    extra = [each.name for each in wanted if each.marker]
    assert sorted(extra) == ["fastexcel", "ray", "reasoning-gym"] and "xllamacpp" in {
        each.name for each in wanted if not each.marker
    }


def test_the_demo_and_the_examples_are_found_from_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    report = budgetscope(installed, tmp_path, "report", "--study", "demo", "--task", "gym:chain_sum/easy")
    assert report.returncode == 0 and "gym:chain_sum/easy" in report.stdout, report.stderr
    estimate = budgetscope(installed, tmp_path, "estimate", "first")
    assert estimate.returncode == 0, estimate.stderr
    wrong = budgetscope(installed, tmp_path, "run", "frist")
    assert wrong.returncode == 2 and "did you mean 'first'" in wrong.stderr
    assert not [*tmp_path.iterdir()]


def test_results_go_to_the_working_folder_and_the_package_stays_as_it_was(installed: Path, tmp_path: Path) -> None:
    study = tmp_path / "mine.toml"
    study.write_text(
        'name = "mine"\nbudgets = [64]\nmodels = ["scripted/adder"]\nstrategies = ["direct"]\n'
        'tasks = [{ name = "gym:chain_sum", questions = 2 }]\n'
    )
    before = sorted(path for path in installed.rglob("*") if path.suffix != ".pyc" and path.name != "__pycache__")
    run = budgetscope(installed, tmp_path, "run", "mine.toml")
    assert run.returncode == 0 and "results go to results.local.duckdb" in run.stderr, run.stderr
    runs = json.loads(budgetscope(installed, tmp_path, "runs", "--json").stdout)
    assert [each["state"] for each in runs] == ["finished"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "mine.toml",
        "results.local.duckdb",
        "results.local.runs",
    ]
    assert sorted(p for p in installed.rglob("*") if p.suffix != ".pyc" and p.name != "__pycache__") == before


def test_a_generator_that_is_not_there_is_one_sentence_with_the_command(installed: Path, tmp_path: Path) -> None:
    study = tmp_path / "mine.toml"
    study.write_text(
        'name = "mine"\nbudgets = [64]\nmodels = ["scripted/adder"]\nstrategies = ["direct"]\n'
        'tasks = [{ name = "gym:lcm", questions = 2 }]\n'
    )
    run = budgetscope(installed, tmp_path, "run", "mine.toml")
    assert run.returncode == 2 and run.stderr.count("\n") == 1
    assert 'pip install "budgetscope[gym]"' in run.stderr


def test_the_dashboard_opens_on_the_demo(installed: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "engine", "--port", str(port)]
    with spawned(
        command, cwd=tmp_path, env=environment(installed), start_new_session=True, text=True, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        address = re.search(r"http://[^ /]+", process.stdout.readline())
        assert address and urlopen(address[0], timeout=10).status == 200
        process.terminate()
        assert process.wait(30) == 0
    assert not [*tmp_path.iterdir()]
