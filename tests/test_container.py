"""The container: its steps and its start-up, as Dockerfile and compose.yaml have them, without a container engine."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import ROOT
from tests.support.children import spawned

LINES = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if line and not line.startswith("#")]
STEPS = [(line.partition(" ")[0], line.partition(" ")[2]) for line in LINES]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
HEALTH: list[str] = json.loads(dict(STEPS)["HEALTHCHECK"].partition("CMD ")[2])
COMMAND: list[str] = json.loads(dict(STEPS)["CMD"])


def test_it_runs_as_a_user_of_its_own_in_a_volume_on_a_slim_base() -> None:
    words = [word for word, _ in STEPS]
    steps = dict(STEPS)
    assert re.fullmatch(r"python:3\.\d+-slim", steps["FROM"])
    assert steps["USER"] not in ("root", "0") and words.index("USER") < words.index("CMD")
    assert f"useradd --uid 10001 --create-home {steps['USER']}" in (ROOT / "Dockerfile").read_text()
    assert steps["WORKDIR"] == steps["VOLUME"] == "/results"


def test_only_the_proxy_is_reached_from_outside_and_it_asks_for_a_login() -> None:
    services = COMPOSE["services"]
    assert [name for name, service in services.items() if "ports" in service] == ["proxy"]
    assert services["proxy"]["environment"]["LOGIN"].startswith("${BUDGETSCOPE_LOGIN:?")
    caddyfile = COMPOSE["configs"]["caddyfile"]["content"].replace("$$", "$")
    assert "basic_auth {\n    budgetscope {$LOGIN}" in caddyfile and "reverse_proxy budgetscope:8501" in caddyfile
    assert services["budgetscope"]["command"][: len(COMMAND)] == COMMAND


def test_it_starts_healthy_and_answers_to_the_proxys_name_alone(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    health = [sys.executable, *HEALTH[1:-1], HEALTH[-1].replace("8501", str(port))]

    def healthy() -> bool:
        return subprocess.run(health, stderr=subprocess.DEVNULL, check=False).returncode == 0

    assert not healthy()
    site = "budgets.example.org"
    words = [
        word.replace("${BUDGETSCOPE_SITE:-localhost}", site) for word in COMPOSE["services"]["budgetscope"]["command"]
    ]
    environment = {**os.environ, "BUDGETSCOPE_LAUNCH_TOKEN": "0123456789-correct-horse"}
    command = [str(Path(sys.executable).with_name(words[0])), *words[1:], "--port", str(port)]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with spawned(command, cwd=tmp_path, env=environment, start_new_session=True, **pipes) as process:
        assert process.stdout is not None and b"Budgetscope is at" in process.stdout.readline()
        assert healthy()
        for host, status in ((site, 200), ("evil.example.org", 403)):
            asks = HTTPConnection("127.0.0.1", port, timeout=10)
            asks.request("GET", "/", headers={"Host": host})
            assert asks.getresponse().status == status
        process.terminate()
        assert process.wait(30) == 0


def copied(folder: Path) -> Path:
    """What .dockerignore lets into the image."""
    rules = (ROOT / ".dockerignore").read_text().split()
    left = shutil.ignore_patterns(*(rule.removeprefix("**/") for rule in rules if rule.startswith("**/")))
    folder.mkdir()
    for source in (ROOT / rule[1:] for rule in rules if rule.startswith("!")):
        if source.is_dir():
            shutil.copytree(source, folder / source.name, ignore=left)
        else:
            shutil.copy(source, folder)
    return folder


@pytest.mark.online
def test_its_steps_make_a_bare_environment_that_runs(tmp_path: Path) -> None:
    """Minutes: everything is downloaded. What makes users is left out; no C compiler is found."""
    source = copied(tmp_path / "src")
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))},
        "PATH": f"{tmp_path / 'venv' / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "CC": "/nonexistent",
    }
    pairs = [pair.split("=") for _, pair in [s for s in STEPS if s[0] == "ENV"] for pair in pair.split()]
    environment |= {name: value.replace("/opt", str(tmp_path)) for name, value in pairs}
    steps = [step.replace("/src", str(source)) for word, step in STEPS if word == "RUN" and "useradd" not in step]
    assert len(steps) == 2
    for step in steps:
        subprocess.run(step, shell=True, cwd=tmp_path, env=environment, check=True)
    [model] = tmp_path.glob("models/budgetscope/*.gguf")
    (tmp_path / "results").mkdir()
    report = subprocess.run(["budgetscope", "report"], cwd=tmp_path / "results", env=environment, check=True, stdout=-1)
    assert model.stat().st_size > 50_000_000 and b"gym:chain_sum/easy" in report.stdout


@pytest.mark.online
def test_the_image_is_built() -> None:
    if not shutil.which("docker") or subprocess.run(["docker", "info"], capture_output=True, check=False).returncode:
        pytest.skip("there is no container engine")
    subprocess.run(["docker", "build", "--quiet", str(ROOT)], check=True)
