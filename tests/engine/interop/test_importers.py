"""Every importer holds the contract, reads what its tool wrote, and refuses the rest in a sentence."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from engine.core.errors import UsageError
from engine.interop import IMPORTERS, ImportedAnswer, importer_for, load, logs, logs_in
from engine.testing import ImporterContract
from tests.support import foreign_logs


class _Written(ImporterContract):
    @pytest.fixture(autouse=True)
    def _write(self, tmp_path: Path) -> None:
        load()
        self.log = foreign_logs.LOGS[self.importer](tmp_path)

    def test_the_log_is_found_to_be_its_own(self) -> None:
        assert type(importer_for(self.log)) is IMPORTERS.get(self.importer)


class TestInspect(_Written):
    importer = "inspect"


class TestLmEval(_Written):
    importer = "lm_eval"


class TestHelm(_Written):
    importer = "helm"


class TestEveryEvalEver(_Written):
    importer = "every_eval_ever"


class TestPromptfoo(_Written):
    importer = "promptfoo"


class TestChats(_Written):
    importer = "chat"


class TestTable(_Written):
    importer = "csv"


def _read(kind: str, folder: Path) -> list[ImportedAnswer]:
    log = foreign_logs.LOGS[kind](folder)
    return list(importer_for(log).answers(log))


@pytest.mark.parametrize("kind", sorted(foreign_logs.LOGS))
def test_questions_targets_and_models_come_as_they_stand(kind: str, tmp_path: Path) -> None:
    answers = _read(kind, tmp_path)
    assert [(each.question, each.target) for each in answers] == list(foreign_logs.QUESTIONS)
    assert {each.model for each in answers} == {foreign_logs.MODEL} and {each.tool for each in answers} == {kind}
    assert {each.task.partition(":")[0] for each in answers} == {"sums"}


@pytest.mark.parametrize("kind", sorted(foreign_logs.LOGS))
def test_the_mark_that_editors_on_windows_write_in_front_changes_nothing(kind: str, tmp_path: Path) -> None:
    log = foreign_logs.LOGS[kind](tmp_path)
    wanted = list(importer_for(log).answers(log))
    for file in filter(Path.is_file, (log, *log.rglob("*"))):
        file.write_bytes(logs.MARK + file.read_bytes().removeprefix(logs.MARK))
    assert list(importer_for(log).answers(log)) == wanted


def test_an_archive_and_a_file_of_one_log_say_the_same(tmp_path: Path) -> None:
    archive = foreign_logs.inspect_eval(tmp_path)
    assert list(importer_for(archive).answers(archive)) == _read("inspect", tmp_path)


def test_the_graders_tokens_are_nobodys_spend_and_attachments_are_read(tmp_path: Path) -> None:
    first = _read("inspect", tmp_path)[0]
    assert first.spend and (first.spend.input_tokens, first.spend.output_tokens) == (30, 10)
    assert first.spend.latency_ms == 250 and "reasoning_tokens" in first.unreported
    assert first.prompt[0].content == "Be brief. What is 0 plus 0?" and first.reply == "ANSWER: 0"


def test_input_that_a_total_says_leaves_the_cache_out_gets_it_back(tmp_path: Path) -> None:
    log = foreign_logs.inspect_json(tmp_path)
    body = json.loads(log.read_text())
    usage = {"input_tokens": 10, "output_tokens": 5, "input_tokens_cache_read": 100, "total_tokens": 115}
    body["samples"][0]["model_usage"] = {foreign_logs.MODEL: usage}
    log.write_text(json.dumps(body))
    first = next(importer_for(log).answers(log))
    assert first.spend and (first.spend.input_tokens, first.spend.cached_tokens) == (110, 100)


def test_inspects_letters_are_scores() -> None:
    from engine.interop.inspect_logs import score_of

    assert [score_of(value) for value in ("C", "I", "P", "N", True, 0.25, "0.5")] == [1, 0, 0.5, 0, 1, 0.25, 0.5]
    assert [score_of(value) for value in (7, "great", {"a": 1}, None)] == [None] * 4


def test_of_several_filters_the_first_counts_and_tokens_that_nobody_logs_are_unknown(tmp_path: Path) -> None:
    answers = _read("lm_eval", tmp_path)
    assert len(answers) == 6 and answers[-1].score == 0 and answers[0].scorer == "exact_match, strict"
    assert answers[0].setting == "generate_until, 2-shot"
    assert set(answers[0].unreported) >= {"input_tokens", "output_tokens", "latency_ms"}


def test_a_provider_error_is_failed_and_a_failed_assertion_is_wrong(tmp_path: Path) -> None:
    answers = _read("promptfoo", tmp_path)
    assert answers[-1].error == "429: too many requests" and answers[-1].score is None
    assert (answers[-2].error, answers[-2].score) == (None, 0)


def test_an_exchange_without_a_score_is_unscored(tmp_path: Path) -> None:
    assert [each.score for each in _read("chat", tmp_path)] == [1, 1, 1, 1, 1, None]


def test_an_empty_cell_is_unknown_and_not_zero(tmp_path: Path) -> None:
    answers = _read("csv", tmp_path)
    assert ["input_tokens" in each.unreported for each in answers] == [True, False] * 3
    assert all("output_tokens" not in each.unreported for each in answers)


def test_the_logs_of_a_folder_are_found_whatever_else_lies_there(tmp_path: Path) -> None:
    for name, write in foreign_logs.LOGS.items():
        (tmp_path / name).mkdir()
        write(tmp_path / name)
    (tmp_path / "notes.txt").write_text("x")
    assert len(logs_in(tmp_path)) == len(foreign_logs.LOGS)


def _bomb(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("header.json", json.dumps(foreign_logs.inspect_header()))
        archive.writestr("samples/s_epoch_1.json", b" " * (64 << 20))


def _cut(path: Path) -> None:
    whole = foreign_logs.inspect_eval(path.parent).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])


def _headless(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("samples/s_epoch_1.json", "{}")


def _packed_bomb(path: Path) -> None:
    _bomb(path.with_name("plain.eval"))
    foreign_logs.zstandard(path.with_name("plain.eval")).rename(path)


def _damaged(path: Path) -> None:
    whole = bytearray(foreign_logs.zstandard(foreign_logs.inspect_eval(path.parent)).read_bytes())
    at = whole.find(b"samples/") + 40
    whole[at : at + 8] = b"damaged!"
    path.write_bytes(whole)


@pytest.mark.parametrize(
    ("name", "make", "says"),
    [
        ("bomb.eval", _bomb, "unpacks to more than"),
        ("cut.eval", _cut, "is no whole archive"),
        ("packed.eval", _packed_bomb, "unpacks to more than"),
        ("damaged.eval", _damaged, "its checksum is another|is damaged|cannot be unpacked"),
        ("empty.eval", lambda path: path.write_bytes(b""), "is no log"),
        ("headless.eval", _headless, "has no header.json"),
        ("deep.csv", lambda path: path.write_text("question,model,answer,score\nq,m,a,2\n"), "row 2, has a score of 2"),
        ("short.csv", lambda path: path.write_text("question,model,answer\nq,m\n"), "row 2, has 2 cells"),
        ("empty.json", lambda path: path.write_text(""), "is no log"),
        (
            "line.jsonl",
            lambda path: path.write_text('{"messages": [{"role": "user", "content": "q"}], "model": "m"}\n{"mess\n'),
            "line 2, is no such record",
        ),
        (
            "nobody.jsonl",
            lambda path: path.write_text('{"messages": [{"role": "system", "content": "q"}], "model": "m"}\n'),
            "line 1, has no message of a user",
        ),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_sentence(name: str, make: object, says: str, tmp_path: Path) -> None:
    make(tmp_path / name)  # type: ignore[operator]
    with pytest.raises(UsageError, match=says) as refusal:
        list(importer_for(tmp_path / name).answers(tmp_path / name))
    assert "\n" not in str(refusal.value) and str(tmp_path) not in str(refusal.value)


def test_a_truncated_log_names_its_file(tmp_path: Path) -> None:
    log = foreign_logs.inspect_json(tmp_path)
    log.write_bytes(log.read_bytes()[:-40])
    with pytest.raises(UsageError, match=r"'run-1.json' is no such record"):
        list(importer_for(log).answers(log))


def test_names_in_an_archive_are_never_paths(tmp_path: Path) -> None:
    path = tmp_path / "in" / "evil.eval"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("header.json", json.dumps(foreign_logs.inspect_header()))
        archive.writestr("samples/../../../out.json", json.dumps(foreign_logs.inspect_samples()[0]))
        archive.writestr("../out.json", "{}")
    assert len(list(importer_for(path).answers(path))) == 1
    assert sorted(each.name for each in tmp_path.rglob("*")) == ["evil.eval", "in"]


def test_bad_records_are_left_out_only_where_that_is_asked(tmp_path: Path) -> None:
    log = foreign_logs.chat(tmp_path)
    log.write_text(log.read_text() + "{broken\n")
    with pytest.raises(UsageError, match="line 7"):
        list(importer_for(log).answers(log))
    with logs.skipping_bad() as faults:
        assert len(list(importer_for(log).answers(log))) == 6
    assert len(faults) == 1 and "line 7" in faults[0]
