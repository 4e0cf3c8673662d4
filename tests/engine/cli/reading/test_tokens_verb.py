"""`budgetscope tokens`: a file or a pipe as tokens, costs and languages; a study's tokens as table, CSV and JSON."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import polars as pl
import pytest

import engine
from engine.cli import main
from engine.models.tokens import text_size, tokenizers
from tests.support import stores

TEXT = "A train leaves at 14:05.\n\u202e<b>日本\x1b[31m"


def said(capsys: pytest.CaptureFixture[str], *argv: str, code: int = 0) -> str:
    assert main(["tokens", *argv]) == code
    out = capsys.readouterr()
    return out.err if code else out.out


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "t.txt").write_text(TEXT, encoding="utf-8")
    return tmp_path / "t.txt"


def test_a_file_is_counted_as_python_counts_it(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wish = ("--with", "o200k_base", "--model", "gpt-4o-mini", "--budget", "40", "--reply", "9", "--json")
    record = json.loads(said(capsys, str(file), *wish))
    cut = tokenizers.open_tokenizer("o200k_base").cut(TEXT, most=40)
    (told,) = record["cuts"]
    assert told["n_tokens"] == cut.n_tokens and [each["id"] for each in told["tokens"]] == [t.id for t in cut.tokens]
    (model,) = record["models"]
    assert model["call_pusd"] == text_size.fit(TEXT, "gpt-4o-mini", 9).call_pusd
    assert record["room"][0]["left"] == 40 - cut.n_tokens


def test_what_is_piped_in_is_read_and_shown_without_steering_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(TEXT.encode())))
    out = said(capsys, "-", "--with", "cl100k_base", "--model", "nobody/knows", "--languages")
    assert "|A| train| leaves|" in out and "unknown" in out and "Hindi" in out
    assert not {"\x1b", "\u202e"} & set(out)


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("nowhere.txt",), "cannot be read"),
        ((), "Name a file"),
        (("FILE", "--with", "o200_base"), "did you mean"),
        (("FILE", "--cells", "1.5"), "whole number"),
        (("FILE", "--with", "o200k_base", "--budget", "0"), "1 token or more"),
        (("FILE", "--study", "made"), "leave out the file"),
        (("BINARY",), "its byte 2 begins no letter"),
        (("/dev/zero",), "the most that is read"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    file: Path, argv: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (file.parent / "binary").write_bytes(b"a\xff\xfe")
    places = {"FILE": str(file), "BINARY": str(file.parent / "binary")}
    err = said(capsys, *(places.get(word, word) for word in argv), code=2)
    assert words in err and err.count("\n") == 1


def test_a_study_is_said_as_a_table_and_as_csv(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    db = stores.two_studies(tmp_path / "r.duckdb")
    frame = engine.open(db).token_roles("narrow")
    read = pl.read_csv(io.StringIO(said(capsys, "--study", "narrow", "--csv", "--db", str(db))))
    assert read["total_tokens"].to_list() == pytest.approx(frame["total_tokens"].to_list())
    named = frame.with_columns(task=pl.lit("=cmd|x"), model=pl.lit("@x"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("engine.analysis.Results.token_roles", lambda *_: named)
        armed = pl.read_csv(io.StringIO(said(capsys, "--study", "narrow", "--csv", "--db", str(db))))
    assert set(armed["task"]) == {"'=cmd|x"} and set(armed["model"]) == {"'@x"}
    assert len(json.loads(said(capsys, "--study", "narrow", "--json", "--db", str(db)))) == frame.height
    assert "Means per answer" in said(capsys, "--study", "narrow", "--db", str(db))
    assert "wide" in said(capsys, "--study", "wyde", "--db", str(db), code=2)
