"""The command line as a user meets it: a process with arguments, an exit code, two streams, and no traceback."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import pytest

import engine
from dashboard import report
from engine.cli import doctor, main, serve, show
from engine.cli.reading import reports
from engine.cli.show import line
from engine.core.budget import Amount, Limits
from engine.runs import run_dir
from engine.runs.run_dir import Status
from engine.store.store import Store
from tests import ROOT
from tests.support import doors, killer
from tests.support.children import spawned
from tests.support.killer import Said
from tests.support.provider import free_port, serving

STUDY = """
name = "sums"
budgets = [16, 64]
models = ["scripted/adder"]
tasks = ["file:sums.csv"]
strategies = ["direct", {name = "self_consistency", samples = 3, chain_tokens = 40}, "told_budget"]
"""


def furnish(folder: Path) -> Path:
    """A folder with a small study in it."""
    rows = "\n".join(f"What is {a} + {a * 7} ?,{a * 8}" for a in range(1, 13))
    (folder / "sums.csv").write_text(f"question,answer\n{rows}\n")
    (folder / "sums.toml").write_text(STUDY)
    return folder


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return furnish(tmp_path)


def command(*argv: str) -> list[str]:
    return [sys.executable, "-W", "error", "-m", "engine", *argv]


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "BUDGETSCOPE_DB"}


Command = Callable[..., Said]


def budgetscope(home: Path, *argv: str) -> Said:
    """Run one command in a process of its own."""
    env = {**environment(), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command(*argv), cwd=home, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    return Said(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def inside(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run one command in this process, in a folder."""
    monkeypatch.delenv("BUDGETSCOPE_DB", raising=False)
    monkeypatch.setattr("sys.stdin", StringIO())

    def act(folder: Path, *argv: str) -> Said:
        monkeypatch.chdir(folder)
        return Said(main(argv), *capsys.readouterr())

    return act


def sentence(done: Said) -> str:
    """The one line of an error."""
    assert done.code in (1, 2), done
    assert done.err.startswith("budgetscope: ")
    assert done.err.count("\n") == 1
    return done.err


@pytest.fixture(scope="module")
def stocked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the study ran once."""
    folder = furnish(tmp_path_factory.mktemp("stocked"))
    done = killer.said(folder, "run", "sums.toml")
    assert done.code == 0, done.err
    return folder


@pytest.fixture
def ran(stocked: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(stocked, tmp_path / "ran"))


def test_a_study_runs_and_ends_with_a_table_and_one_sentence(home: Path) -> None:
    done = budgetscope(home, "run", "sums.toml", "--db", "mine.duckdb")
    assert done.code == 0, done.err
    assert "file:sums" in done.out
    assert "Self-consistency ×3" in done.out
    assert "simulated" in done.out
    assert "48 of 48 trials" in done.out.splitlines()[-1] and "tokens, free (runs here)" in done.out.splitlines()[-1]
    assert "$0" not in done.out
    assert (home / "mine.duckdb").exists()
    assert "Traceback" not in done.err


def test_the_database_stands_before_or_after_the_verb_or_in_the_environment(ran: Path, inside: Command) -> None:
    for argv in (["--db", "results.duckdb", "runs", "--json"], ["runs", "--db", "results.duckdb", "--json"]):
        assert len(json.loads(inside(ran, *argv).out)) == 1
    assert json.loads(inside(ran, "runs", "--json", "--db", "other.duckdb").out) == []


def test_a_second_run_pays_nothing(ran: Path, inside: Command) -> None:
    assert inside(ran, "run", "sums.toml").code == 0
    first, second = json.loads(inside(ran, "runs", "--json").out)
    assert first["spent"]["calls"] > 0
    assert second["spent"]["calls"] == 0
    assert second["done"] == second["total"] == first["total"]


def test_a_ceiling_stops_the_run_and_resume_under_a_higher_one_finishes_it(home: Path, inside: Command) -> None:
    (home / "sums.toml").write_text(STUDY + "[ceiling]\ncalls = 5\n")
    stopped = inside(home, "run", "sums.toml")
    assert stopped.code == 3
    assert "ceiling" in stopped.out
    assert inside(home, "resume", "last", "--calls", "5").code == 3
    resumed = inside(home, "resume", "last", "--calls", "500")
    assert resumed.code == 0, resumed.err
    (only,) = json.loads(inside(home, "runs", "--json").out)
    assert only["state"] == "finished"
    assert only["done"] == only["total"] == 48


def test_failed_trials_are_said_and_give_their_own_exit_code(home: Path, inside: Command) -> None:
    (home / "sums.csv").write_text('question,answer\nWhat is 1 + 2 ?,3\n"What is 2 + 2 ? [[fault:400]]",4\n')
    with serving() as provider:
        table = f'[{{name="m", api_base="{provider.api_base}", prices={{input=0.1, output=0.2}}}}]'
        study = STUDY.replace('["scripted/adder"]', table).replace("[16, 64]", "[64]")
        (home / "sums.toml").write_text(f"{study}[ceiling]\nusd = 1\n")
        done = inside(home, "run", "sums.toml")
        again = inside(home, "resume", "last")
    assert done.code == again.code == 4, done.err
    assert "3 failed" in done.out.splitlines()[-1]
    assert "$0.00" in done.out


def test_an_endpoint_nobody_serves_is_said_before_any_trial(home: Path, inside: Command) -> None:
    table = f'[{{name="gone", api_base="http://127.0.0.1:{free_port()}/v1", prices={{input=0, output=0}}}}]'
    (home / "sums.toml").write_text(STUDY.replace('["scripted/adder"]', table) + "[ceiling]\nusd = 1\n")
    done = inside(home, "run", "sums.toml")
    assert done.code == 1
    assert "cannot be reached" in done.err.splitlines()[-1]


def test_report_marks_the_frontier_and_reads_one_curve(ran: Path, inside: Command) -> None:
    report = inside(ran, "report")
    assert report.code == 0, report.err
    assert "frontier" in report.out
    # What to use comes first, then the point that is used.
    title, heading, advice, head, first = report.out.splitlines()[:5]
    assert title.endswith("[file:sums]")
    assert heading.endswith(".") and advice.startswith("Use ")
    assert head.split()[-5:] == ["cut", "off", "no", "answer", "verdict"] and "recommended" in first
    rows = json.loads(inside(ran, "report", "--json", "--x", "total_tokens").out)
    assert {row["strategy"] for row in rows} == {"direct", "self_consistency", "told_budget"}
    anytime = next(row for row in rows if row["strategy"] == "self_consistency")
    curve = json.loads(inside(ran, "report", "--curve", anytime["condition_id"], "--json").out)
    assert curve
    shown = inside(ran, "report", "--curve", anytime["condition_id"][:10])
    assert shown.code == 0, shown.err
    assert "accuracy" in shown.out


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_export_writes_every_format(ran: Path, form: str, inside: Command) -> None:
    done = inside(ran, "export", "--table", "trials", "--format", form, "--out", f"out.{form}")
    assert done.code == 0, done.err
    assert (ran / f"out.{form}").stat().st_size > 0


@pytest.fixture
def drawn_here(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What is drawn in a process of its own is drawn in this one, which has imported what draws."""

    def run(command: list[str], *, check: bool) -> subprocess.CompletedProcess[str]:
        monkeypatch.setattr(sys, "argv", command[2:])
        assert command[:3] == [sys.executable, "-m", report.__name__] and not check
        return subprocess.CompletedProcess(command, report.main())

    monkeypatch.setattr(reports, "subprocess", SimpleNamespace(run=run))
    before = logging.root.manager.disable
    yield
    logging.disable(before)


def test_share_writes_what_the_home_page_shows(ran: Path) -> None:
    done = killer.said(ran, "share", "--most", "500", "--out", "page.html")
    assert done.code == 0, done.err
    assert_shows_the_heading(ran, "page.html")


@pytest.mark.usefixtures("drawn_here")
def test_share_writes_the_same_as_markdown_where_the_name_of_the_file_says_so(ran: Path, inside: Command) -> None:
    done = inside(ran, "share", "--most", "500", "--out", "page.md")
    assert done.code == 0, done.err
    assert_shows_the_heading(ran, "page.md")
    assert "<html" not in (ran / "page.md").read_text("utf-8")


def assert_shows_the_heading(ran: Path, name: str) -> None:
    page = (ran / name).read_text("utf-8")
    heading = engine.open(ran / "results.duckdb").decide(spend_at_most=500).heading
    assert heading in page.replace("\\", "")
    assert "Verdict" in page


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (["--format", "pdf"], "'pdf'"),
        (["--task", "file:nothing"], "'file:nothing'"),
        (["--study", "gone"], "'gone'"),
        (["--x", "tokns"], "'tokns'"),
        (["--out", "results.duckdb"], "belongs to the database"),
    ],
)
@pytest.mark.usefixtures("drawn_here")
def test_share_says_in_one_line_what_it_cannot_write(ran: Path, inside: Command, asked: list[str], told: str) -> None:
    done = inside(ran, "share", *([] if "--out" in asked else ["--out", "page.html"]), *asked)
    assert told in sentence(done)
    assert not (ran / "page.html").exists()


def test_delete_asks_first_and_takes_the_run_with_its_rows(ran: Path, inside: Command) -> None:
    assert "--yes" in sentence(inside(ran, "delete", "last"))
    assert inside(ran, "delete", "last", "--yes").code == 0
    assert json.loads(inside(ran, "runs", "--json").out) == []
    assert json.loads(inside(ran, "report", "--json").out) == []


def test_delete_takes_nothing_that_is_no_run(ran: Path, inside: Command) -> None:
    notes = ran / "results.runs" / "zzz-my-notes"
    notes.mkdir()
    (notes / "notes.txt").write_text("mine", encoding="utf-8")
    assert "zzz-my-notes" in sentence(inside(ran, "delete", "zzz-my-notes", "--yes"))
    assert "'last'" in sentence(inside(ran, "delete", "last", "--yes", "--db", "results.db"))
    assert inside(ran, "delete", "last", "--yes").code == 0
    assert [path.name for path in (ran / "results.runs").iterdir()] == ["zzz-my-notes"]
    assert (notes / "notes.txt").exists()


def test_a_study_of_any_script_runs_where_the_locale_knows_ascii_alone(home: Path) -> None:
    (home / "sums.toml").write_text(STUDY.replace('"sums"', '"Größe 💥"'), encoding="utf-8")
    env = {**environment(), "PYTHONPATH": str(ROOT), "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    for argv in (["run", "sums.toml"], ["runs", "--json"]):
        done = subprocess.run(command(*argv), cwd=home, env=env, stdin=subprocess.DEVNULL, capture_output=True)
        assert done.returncode == 0, done.stderr
        assert b"Traceback" not in done.stderr
    assert json.loads(done.stdout)[0]["name"] == "Größe 💥"


def test_a_living_run_is_not_deleted_nor_taken_up_twice(ran: Path, inside: Command) -> None:
    run = run_dir.find(ran / "results.duckdb", "last")
    with run_dir.held(run):
        assert "running" in sentence(inside(ran, "delete", "last", "--yes"))
        assert "already" in sentence(inside(ran, "resume", "last"))
        assert inside(ran, "stop", "last").code == 0
        assert run_dir.stop_requested(run) == "stop"
    assert "not running" in sentence(inside(ran, "stop", "last"))


def test_the_demo_is_copied_before_the_first_write_and_said_so(ran: Path, inside: Command) -> None:
    Store(ran / "results.duckdb").set_demo(True)
    before = (ran / "results.duckdb").read_bytes()
    done = inside(ran, "run", "sums.toml", "--db", "results.duckdb")
    assert done.code == 0, done.err
    assert "results.local.duckdb" in done.err
    assert (ran / "results.duckdb").read_bytes() == before
    assert len(json.loads(inside(ran, "runs", "--json").out)) == 1


@pytest.mark.parametrize(
    ("argv", "word"),
    [
        (["rnu"], "'run'"),
        (["run"], "STUDY.toml"),
        (["run", "none.toml"], "none.toml"),
        (["run", "."], "cannot be read"),
        (["--port", "0"], "port"),
        (["--port", "many"], "port"),
        (["resume", "nothing"], "'nothing'"),
        (["resume", "x", "--usd", "-1"], "positive"),
        (["resume", "x", "--usd", "nan"], "positive"),
        (["report"], "no database"),
        (["report", "--db", "sums.csv"], "sums.csv"),
        (["export"], "--out"),
        (["export", "--out", "x.csv", "--nonsense"], "nonsense"),
        (["estimate", "bad.toml"], "bad.toml"),
    ],
)
def test_bad_input_is_one_sentence(home: Path, argv: list[str], word: str, inside: Command) -> None:
    (home / "bad.toml").write_bytes(b"\xff\xfe")
    assert word in sentence(inside(home, *argv))


@pytest.mark.parametrize(
    ("argv", "word"),
    [
        (["report", "--x", "tokns"], "tokens"),
        (["report", "--axis", "output_token"], "output_tokens"),
        (["report", "--task", "file:sum"], "file:sums"),
        (["report", "--curve", "nowhere"], "nowhere"),
        (["report", "--curve", ""], "Unknown condition ''"),
        (["report", "--task", ""], "file:sums"),
        (["export", "--table", "trial", "--out", "x.csv"], "trials"),
        (["export", "--format", "xls", "--out", "x.xls"], "xls"),
        (["export", "--out", "no/such/folder/x.csv"], "there is no folder"),
        (["export", "--out", "."], "is a folder"),
        (["export", "--out", "/proc/x.csv"], "nothing can be made in /proc"),
    ],
)
def test_a_name_nobody_knows_brings_the_nearest(ran: Path, argv: list[str], word: str, inside: Command) -> None:
    assert word in sentence(inside(ran, *argv))


def test_lists_say_what_there_is(home: Path, inside: Command) -> None:
    strategies = json.loads(inside(home, "strategies", "--json").out)
    assert {"direct", "self_consistency"} <= {each["name"] for each in strategies}
    assert "samples = 16" in inside(home, "strategies").out
    listed = inside(home, "tasks").out
    assert "gym:chain_sum: easy, medium, hard, or 1 to 5 of its own curriculum" in listed
    assert "maths: game24, gsm8k" in listed and "generated, logic:" in listed
    assert "local/smollm2-135m" in inside(home, "models").out
    known = json.loads(inside(home, "models", "openai/gpt-4o-mini", "--json").out)
    assert any(each["input_usd_per_million"] == 0.15 for each in known)


def test_a_benchmark_says_where_it_comes_from_and_how_it_is_asked(
    home: Path, monkeypatch: pytest.MonkeyPatch, inside: Command
) -> None:
    said = inside(home, "tasks", "hotpotqa").out
    for part in (
        "arXiv 1809.09600",
        "CC BY-SA 4.0",
        "hf://datasets/hotpotqa/hotpot_qa@1908d6af",
        "→ Portugal",
        "folded",
    ):
        assert part in said
    about = json.loads(inside(home, "tasks", "mgsm/de", "--json").out)
    assert about["name"] == "mgsm/de" and about["source"].endswith("mgsm_de.tsv") and "sw" in about["subsets"]
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    for argv, word in (
        (["gsmk"], "did you mean 'gsm8k'"),
        (["mgsm/dee"], "did you mean 'de'"),
        (["gsm8k", "--fetch"], "HF_HUB_OFFLINE is set"),
        (["--fetch"], "name it"),
    ):
        assert word in sentence(inside(home, "tasks", *argv))


def test_an_estimate_adds_up_and_runs_nothing(home: Path, inside: Command) -> None:
    found = json.loads(inside(home, "estimate", "sums.toml", "--json").out)
    assert found["total"]["trials"] == 48
    assert found["total"]["calls"] == sum(each["worst"]["calls"] for each in found["lines"])
    assert found["total"]["pusd"] is None
    assert "price unknown" in inside(home, "estimate", "sums.toml").out
    assert not (home / "results.duckdb").exists()


@pytest.fixture
def no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """A doctor that leaves the bundled model alone, which takes a process seconds to load."""
    monkeypatch.setattr(doctor, "_local_model", lambda: doctor.Finding("ok", "local model", "left out here"))


def test_doctor_names_keys_and_never_shows_them(home: Path, monkeypatch: pytest.MonkeyPatch, inside: Command) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-SECRET")
    done = inside(home, "doctor")
    assert "OPENAI_API_KEY" in done.out
    assert "SECRET" not in done.out + done.err
    assert all(text[:4].strip() in ("ok", "warn", "fail") for text in done.out.splitlines())
    assert "loads and listens" in done.out


@pytest.mark.usefixtures("no_model")
def test_doctor_leaves_with_1_beside_a_file_that_is_no_database(home: Path, inside: Command) -> None:
    (home / "broken.duckdb").write_text("this is no database, but long enough to look at for a moment")
    assert inside(home, "doctor", "--db", "broken.duckdb").code == 1


@pytest.mark.usefixtures("no_model")
def test_doctor_says_how_to_take_up_a_run_that_stopped(home: Path, inside: Command) -> None:
    (home / "sums.toml").write_text(STUDY + "[ceiling]\ncalls = 3\n")
    inside(home, "run", "sums.toml")
    assert "budgetscope resume" in inside(home, "doctor").out


def test_a_reader_that_leaves_early_is_no_error(home: Path) -> None:
    env = {**environment(), "PYTHONPATH": str(ROOT)}
    with spawned(
        command("models", "claude"), cwd=home, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as shown:
        assert shown.stdout is not None
        assert shown.stderr is not None
        shown.stdout.close()
        assert shown.stderr.read() == b""
        assert shown.wait(60) == 0


def test_ctrl_c_stops_a_run_that_can_be_resumed(home: Path) -> None:
    slow = STUDY.replace("budgets = [16, 64]", "budgets = [16, 64]\nrepeats = 400")
    (home / "sums.toml").write_text(slow)
    env = {**environment(), "PYTHONPATH": str(ROOT)}
    with spawned(command("run", "sums.toml"), cwd=home, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
        wait_for(
            lambda: any(each.state == "running" and each.done for each in run_dir.list_runs(home / "results.duckdb"))
        )
        run.send_signal(signal.SIGINT)
        out, err = run.communicate(timeout=60)
    assert run.returncode == 3, err
    assert b"Traceback" not in err
    assert b"stopped" in out
    (stopped,) = run_dir.list_runs(home / "results.duckdb")
    assert 0 < stopped.done < stopped.total


def wait_for(happened: object, limit_s: float = 60) -> None:
    """Poll until something another process does has happened."""
    assert callable(happened)
    deadline = time.monotonic() + limit_s
    while not happened():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def test_an_unexpected_error_is_one_line_with_a_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("engine.cli.lists.strategies.callback", lambda as_json: 1 // 0)
    assert main(["strategies"]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "ZeroDivisionError" in Path(said.split("log: ")[1].split(")")[0]).read_text()
    with pytest.raises(ZeroDivisionError):
        main(["strategies", "--debug"])


def test_the_progress_line_says_spent_reserved_and_ceiling() -> None:
    now = Status(
        "r",
        "s\x1b[2J",
        "running",
        True,
        1,
        5,
        1_200,
        spent=Amount(7, 1_500, 12 * 10**9),
        priced=True,
        reserved=Amount(1, 90),
        ceiling=Limits(tokens=2_000, pusd=10**12),
        seconds_left=3_725,
    )
    said = line(now)
    for part in ("5/1,200 trials", "7 calls", "1,500 tokens", "$0.012", "reserved 90", "$1.00", "62.1 min left"):
        assert part in said
    assert "\x1b" not in said
    unpriced = Status("r", "s", "running", True, 1, 5, 9, spent=Amount(7, 15, 0), priced=False)
    assert "15 tokens, unknown" in line(unpriced)
    assert "15 tokens, free (runs here)" in line(replace(unpriced, billed=False))
    # A start that failed has no ceiling to tell.
    assert "ceiling" in said and "ceiling" not in line(Status("r", "s", "failed", False, 1, 0, 0))


@pytest.mark.parametrize(
    ("pusd", "shown"),
    [
        (None, show.UNKNOWN),
        (0, "$0.00"),
        (10**12, "$1.00"),
        (123_456_789, "$0.000123"),
        (5 * 10**11, "$0.50"),
        (1_234_567 * 10**12, "$1,234,567"),
    ],
)
def test_money_has_three_digits_and_unknown_is_never_zero(pusd: int | None, shown: str) -> None:
    assert show.usd(pusd) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0"), (1234567, "1,234,567"), (0.08194, "0.0819"), (12.345, "12.3"), (None, show.UNKNOWN), (1234.5, "1,234")],
)
def test_numbers_have_three_digits(value: float | None, shown: str) -> None:
    assert show.number(value) == shown


def test_hostile_text_cannot_steer_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    show.table(["a"], [["x\x1b]0;title\x07\r\n\u202egnp"]])
    said = capsys.readouterr().out
    assert said.count("\n") == 2
    assert not any(c in said for c in "\x1b\x07\r\u202e")


def test_the_dashboard_is_told_its_port_host_database_and_mode(tmp_path: Path) -> None:
    told = serve.environment(tmp_path / "r.duckdb", "127.0.0.1", serve.Wishes(read_only=True))
    assert told["BUDGETSCOPE_DB"] == str(tmp_path / "r.duckdb")
    assert told["BUDGETSCOPE_READ_ONLY"] == "1"
    flags: Sequence[str] = serve.command(Path("app.py"), "0.0.0.0", 8600)
    assert "--server.port=8600" in flags
    assert "--server.address=0.0.0.0" in flags


@pytest.mark.parametrize("verb", [door.name for door in doors.doors("verb")])
def test_the_help_of_a_verb_lists_its_arguments_once(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    main([verb, "--help"])
    said = capsys.readouterr().out
    assert said.count("rguments:") <= 1 and said.count("Options:") == 1
