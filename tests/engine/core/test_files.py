"""Small files are replaced whole, and what a killed writer leaves is found and removed."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.core import files


def gone() -> int:
    """The id of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.mark.parametrize("moment", ["write", "fsync", "replace"])
def test_a_write_that_fails_leaves_the_old_content_and_no_half_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    path = tmp_path / "status.json"
    files.replace(path, "old")

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    target = {"write": (Path, "open"), "fsync": (os, "fsync"), "replace": (Path, "replace")}[moment]
    monkeypatch.setattr(*target, full)
    with pytest.raises(OSError) as caught:
        files.replace(path, "new and longer")
    monkeypatch.undo()
    assert (path.read_text(), os.listdir(tmp_path)) == ("old", ["status.json"])
    assert files.why(caught.value) == "the disk is full"


def test_half_made_files_of_the_dead_are_swept_and_those_of_the_living_and_of_others_stay(tmp_path: Path) -> None:
    pid = gone()
    dead = [f".r.duckdb.{pid}.0123abcd", f".r.duckdb.{pid}.0123abcd.wal", f".status.{pid}", f".run.{pid}.00000000"]
    kept = [f".r.duckdb.{os.getpid()}.0123abcd", ".r.duckdb", f".r.duckdb.{pid}", "r.duckdb"]
    for name in (*dead[:-1], *kept):
        (tmp_path / name).touch()
    (tmp_path / dead[-1]).mkdir()
    (tmp_path / dead[-1] / "study.toml").touch()
    files.sweep(tmp_path, lambda name: name == "r.duckdb")
    assert sorted(os.listdir(tmp_path)) == sorted([*dead[2:], *kept])
    files.sweep(tmp_path)
    assert sorted(os.listdir(tmp_path)) == sorted(kept)


def test_a_name_for_a_part_is_one_that_is_swept_later(tmp_path: Path) -> None:
    part = files.part_of(tmp_path / "results.local.duckdb")
    left = part.with_name(part.name.replace(f".{os.getpid()}.", f".{gone()}."))
    left.touch()
    assert files.leftovers(tmp_path, lambda name: name == "results.local.duckdb") == [left]
