"""One walk for every door that brings money or files, which the suite and the benches of kills and of modes take.

A walk is done once in peace and, on another copy of the same ground, again and again under fire until it ends. Then both
grounds must hold the same; a file that is written is whole or is not there; a database that is only read keeps its
bytes; and the day's allowance counts at least what the provider served. A walk that asks is also done under a ceiling
while its provider misbehaves; then no more is charged beyond the ceiling than by the one call that told what it is like.
"""

from __future__ import annotations

import json
import random
import re
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.cli import archives
from engine.core.allowance import day_of
from engine.runs import archiving, run_dir
from engine.runs.worker import prepare
from engine.store import archive
from engine.store.store import Store
from engine.study.schema import load
from tests.support import foreign_logs, killer
from tests.support.provider import Provider, Served, serving

REPORT = "dashboard.report:main"
"""The process that draws a saved page for the verb `share`."""
SETTING = "chain_of_thought"
STUDY = """
name = "ground"
budgets = [400]
strategies = ["chain_of_thought", {{name = "self_consistency", samples = 3, chain_tokens = 48}}]
[[models]]
name = "m"
api_base = "{api_base}"
parallel = 3
prices = {{input = 1.0, output = 2.0}}
[[models]]
name = "judge"
api_base = "{api_base}"
alone = false
parallel = 2
prices = {{input = 1.0, output = 2.0}}
[[tasks]]
name = "file:{data}"
[[tasks]]
name = "file:{judged}"
judge = "judge"
rubric = "Right or wrong."
[ceiling]
usd = 1.0
tokens = 200_000
"""


@dataclass(frozen=True, slots=True)
class Ground:
    """A folder with a database that holds a study, and what verbs are given."""

    home: Path
    study: Path

    @property
    def db(self) -> Path:
        """The database that a walk works on."""
        return self.home / "results.duckdb"

    @property
    def out(self) -> Path:
        """Where a walk writes, without its ending."""
        return self.home / "written"

    def words(self, *words: str) -> list[str]:
        """A command line over this database."""
        return [*words, "--db", str(self.db)]


@dataclass(frozen=True, slots=True)
class Walk:
    """One verb, or one way to use it."""

    verb: str
    words: Callable[[Ground], list[str]]
    left: Callable[[Ground], Any]
    """What it leaves, equal wherever it came to its end."""
    asks: bool = False
    """Whether it asks a model."""
    pools: bool = True
    """Whether what it asked for is kept, so that it is asked once."""
    ending: str = ""
    """Of the file it writes."""
    under: tuple[str, ...] | None = None
    """What sets its ceiling in tokens, which comes behind; None: the study says it."""
    again: Callable[[Ground, frozenset[str]], list[str] | None] = lambda ground, before: None
    """What goes on after a kill, given the runs there were before the walk; None: the same command."""
    main: str = killer.MAIN
    also: str = ""
    """What tells it from others of the verb."""
    hooks: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """As reports call it."""
        return f"{self.verb} {self.also}".strip()


def _bytes_of(ground: Ground) -> bytes:
    return ground.db.read_bytes()


def _tables(*names: str) -> Callable[[Ground], Any]:
    def left(ground: Ground) -> Any:
        found = killer.findings(ground.db)
        return {name: found[name] for name in names} if names else found

    return left


def _probes(ground: Ground) -> Any:
    rows = killer.table(ground.db, "probes", "run_id", "latency_ms")
    return [tuple(map(killer.without_run, row)) for row in rows]


def _nothing(ground: Ground) -> None:
    """What is asked anew each time leaves nothing to compare."""


def _resumed(ground: Ground, before: frozenset[str]) -> list[str] | None:
    new = [status.run_id for status in run_dir.list_runs(ground.db) if status.run_id not in before]
    return ground.words("resume", new[0]) if new else None


def _prepared(ground: Ground) -> list[str]:
    """A run as a page starts it: its folder is there, and a worker takes it up."""
    return ground.words("resume", prepare(load(longer(ground)), ground.db).run_id)


def _packed(ground: Ground) -> list[str]:
    """An archive to bring back."""
    archiving.archive_study(Store(ground.db), archives.part_of(ground.db, "ground"))
    return ground.words("restore", "ground")


def _kept(ground: Ground) -> Any:
    """What stays in the database, and what the archive holds."""
    return killer.findings(ground.db), killer.findings(archive.folder_of(ground.db, "ground"))


def longer(ground: Ground) -> Path:
    """The study with more questions, so that there is something to buy."""
    study = ground.home / "longer.toml"
    if not study.exists():
        old = next(word for word in ground.study.read_text(encoding="utf-8").split('"') if word.startswith("file:"))
        killer.sums(ground.home / "longer.jsonl", 12)
        text = ground.study.read_text(encoding="utf-8").replace(old, f"file:{ground.home / 'longer.jsonl'}", 1)
        study.write_text(text, encoding="utf-8")
    return study


def _written(verb: str, *words: str, ending: str, flag: str = "--out", **more: Any) -> Walk:
    def line(ground: Ground) -> list[str]:
        return ground.words(verb, *words, flag, f"{ground.out}{ending}")

    return Walk(verb, line, lambda ground: Path(f"{ground.out}{ending}").read_bytes(), ending=ending, **more)


def _read(verb: str, *words: str, **more: Any) -> Walk:
    def line(ground: Ground) -> list[str]:
        return ground.words(verb, *(word.replace("STUDY", str(ground.study)) for word in words))

    return Walk(verb, line, _bytes_of, **more)


WALKS: tuple[Walk, ...] = (
    Walk("run", lambda g: g.words("run", str(longer(g))), _tables(), True, again=_resumed, also="with a judge"),
    Walk("resume", _prepared, _tables(), True, also="of a run that a page prepared"),
    Walk(
        "run",
        lambda g: g.words("run", str(longer(g))),
        _tables(),
        True,
        again=_resumed,
        also="by the library of providers",
        hooks=("by litellm",),
    ),
    Walk(
        "calibrate",
        lambda g: g.words("calibrate", str(g.home / "plain.toml")),
        _tables(),
        True,
        again=_resumed,
        under=("--ceiling-tokens",),
    ),
    Walk(
        "probe",
        lambda g: g.words("probe", SETTING, "--task", "file:sums", "--usd", "1", "--thoughts", "4", "--places", "4"),
        _probes,
        True,
        under=("--tokens",),
    ),
    Walk(
        "models",
        lambda g: g.words("models", "test", "m", "--study", str(g.study)),
        _nothing,
        True,
        False,
        under=("--tokens",),
    ),
    Walk("import", lambda g: g.words("import", str(g.home / "log.json")), _tables(), also="of a log"),
    Walk("import", lambda g: g.words("import", str(g.home / "other.duckdb")), _tables(), also="of a database"),
    Walk("delete", lambda g: g.words("delete", _first(g), "--yes"), _tables()),
    Walk("archive", lambda g: g.words("archive", "ground"), _kept),
    Walk("restore", _packed, _tables()),
    Walk("forget", lambda g: g.words("forget", "ground", "--yes"), _tables()),
    _written("export", "--table", "calls", ending=".csv"),
    _written("rewards", SETTING, "--task", "file:sums", "--form", "sft", ending=".jsonl"),
    _written("check", "ground", "--max-tokens", "10000", flag="--junit", ending=".xml"),
    _written("judge", flag="--write", ending=".labels.csv"),
    _written("share", ending=".html", main=REPORT, also="of a page"),
    _read("estimate", "STUDY"),
    _read("savings", "self_consistency", SETTING, "--per-day", "1000", "--task", "file:sums"),
    _read("advise", "--under", "300", "--task", "file:sums"),
    _read("compare", SETTING, "self_consistency", "--task", "file:sums"),
    _read("report", "--task", "file:sums"),
    _read("tokens", "--study", "ground"),
    _read("tasks"),
)
"""A verb that comes in by one of `doors` with money or files joins here, or a test fails."""


def _first(ground: Ground) -> str:
    return Store(ground.db).runs()[0].run_id


@contextmanager
def made(folder: Path) -> Iterator[tuple[Ground, Provider]]:
    """A study that was run, with the logs and the other database that verbs bring in."""
    home = folder / "made"
    home.mkdir()
    with serving(bends=_scores) as provider:
        # As many as leave no chance worth the name that every thought of them is wrong.
        data, judged = killer.sums(home / "sums.jsonl", 12), killer.sums(home / "judged.jsonl", 3)
        study = home / "ground.toml"
        study.write_text(STUDY.format(api_base=provider.api_base, data=data, judged=judged), encoding="utf-8")
        ground = Ground(home, study)
        plain = killer.STUDY.format(api_base=provider.api_base, parallel=3, data=data, ceiling=200_000)
        (home / "plain.toml").write_text(plain, encoding="utf-8")
        other = home / "other.toml"
        killer.sums(home / "others.jsonl", 6)
        other.write_text(study.read_text(encoding="utf-8").replace("sums.jsonl", "others.jsonl"), encoding="utf-8")
        for words in (
            ["run", str(other), "--db", str(home / "other.duckdb")],
            ground.words("run", str(study)),
            ground.words("allowance", "--tokens", "50000000", "--usd", "50"),
        ):
            out = folder / "out"
            assert killer.run(words, out) == 0, out.read_text(encoding="utf-8")
        log = foreign_logs.inspect_json(folder)
        log.replace(home / "log.json")
        yield ground, provider


def _scores(reply: dict[str, Any], before: int) -> None:
    """A judge's last line; another reply keeps its own."""
    if reply["model"] == "judge":
        message = reply["choices"][0]["message"]
        message["content"] = f"{message['content'].split('.')[0]}.\nScore: {len(message['content']) % 2}"
        reply["choices"][0]["finish_reason"] = "stop"


@dataclass
class Fire:
    """What came of one walk under fire."""

    kills: int = 0
    where: Counter[str] = field(default_factory=Counter)
    asked_twice: int = 0
    in_doubt: int = 0
    served: int = 0
    """Requests."""
    faults: list[str] = field(default_factory=list)


def copied(ground: Ground, home: Path) -> Ground:
    """The same ground in another folder."""
    shutil.copytree(ground.home, home)
    return Ground(home, home / ground.study.name)


def calm(walk: Walk, ground: Ground, home: Path) -> tuple[Any, float]:
    """What a walk leaves that nobody disturbs, and how many seconds it took, without what had to be there before."""
    own = copied(ground, home)
    words, began = walk.words(own), time.monotonic()
    _done(walk, words, home / "out")
    return walk.left(own), time.monotonic() - began


def _done(walk: Walk, words: Sequence[str], out: Path) -> None:
    code = killer.run(_line(walk, words), out, *walk.hooks, main=_main(words, walk))
    assert code == 0, f"{walk.name} ended with {code}: {out.read_text(encoding='utf-8')[-500:]}"


def _line(walk: Walk, words: Sequence[str]) -> list[str]:
    return list(words[1:]) if _main(words, walk) == REPORT else list(words)


def _main(words: Sequence[str], walk: Walk) -> str:
    return walk.main if words[0] == walk.verb else killer.MAIN


def under_fire(
    walk: Walk, ground: Ground, provider: Provider, home: Path, wanted: Any, kills: Sequence[str | float]
) -> Fire:
    """Kill a walk at points of `killer.POINTS`, or after seconds, go on each time, and do the books."""
    own, fire = copied(ground, home), Fire()
    runs = frozenset(status.run_id for status in run_dir.list_runs(own.db))
    before, doubted = len(provider.served), _in_doubt(own)
    was = _claimed(own)
    words = walk.words(own)
    for kill in kills:
        words = walk.again(own, runs) or words
        hooks = (*walk.hooks, kill) if isinstance(kill, str) else walk.hooks
        child = killer.start(_line(walk, words), home / "out", *hooks, main=_main(words, walk))
        if not isinstance(kill, str):
            child.join(kill)
            child.kill()
        if killer.ended(child) >= 0:
            break
        fire.kills += 1
        fire.where[kill if isinstance(kill, str) else "a random moment"] += 1
        fire.faults += _torn(walk, own, wanted)
    else:
        words = walk.again(own, runs) or words
        if not (walk.verb == "delete" and not Store(own.db).runs()) and not _finished(walk, own):
            _done(walk, words, home / "out")
    served = provider.served[before:]
    fire.served, fire.in_doubt = len(served), _in_doubt(own) - doubted
    fire.asked_twice = _twice(served)
    if walk.left(own) != wanted:
        fire.faults.append(f"{walk.name}: what it leaves differs from what it leaves undisturbed")
    if walk.pools and fire.asked_twice > fire.in_doubt:
        fire.faults.append(f"{walk.name}: {fire.asked_twice} requests were asked twice, {fire.in_doubt} in doubt")
    tokens = sum(one.prompt_tokens + one.completion_tokens for one in served)
    if _claimed(own) - was < tokens:
        fire.faults.append(f"{walk.name}: {tokens} tokens were served, and the day counts {_claimed(own) - was}")
    return fire


@dataclass(frozen=True, slots=True)
class Held:
    """What a walk came to under a ceiling of tokens."""

    code: int
    calls: int
    """Requests that reached the provider."""
    charged: int
    """Tokens, those in doubt at their worst case."""
    over: int
    """Of these beyond the ceiling."""
    largest: int
    """Of the dearest single attempt."""
    money: float
    """Dollars charged."""


def under_ceiling(walk: Walk, ground: Ground, provider: Provider, home: Path, tokens: int) -> Held:
    """Do a walk that asks under a ceiling, however the provider behaves now; waits between tries are cut short."""
    own, before = copied(ground, home), len(provider.served)
    for study in own.home.glob("*.toml"):
        text = study.read_text(encoding="utf-8")
        study.write_text(re.sub(r"(?m)^tokens = .*$", f"tokens = {tokens}", text), encoding="utf-8")
    known, (was, paid) = _attempts(own), _claims(own)
    words = walk.words(own)
    if walk.under:
        words += [*walk.under, str(tokens)]
    code = killer.run(_line(walk, words), home / "out", *walk.hooks, "impatient", main=_main(words, walk))
    charged, money = _claims(own)
    told = [tokens for name, tokens in _attempts(own).items() if name not in known]
    return Held(
        code,
        len(provider.served) - before,
        charged - was,
        max(0, charged - was - tokens),
        max(told, default=0),
        (money - paid) / 1e12,
    )


def _attempts(ground: Ground) -> dict[str, int]:
    with Store(ground.db).reading() as connection:
        return dict(connection.execute("select attempt_id, charged_tokens from attempts").fetchall())


def moments(walk: Walk, took_s: float, count: int, chance: random.Random) -> list[str | float]:
    """Where to kill a walk that takes so long: some at points it may pass, others after a random time."""
    points = [killer.UNNAMED] if walk.ending else [killer.HALF_FILLED]
    points = [*killer.POINTS, killer.IN_A_START, *points] if walk.asks else points
    return [chance.choice(points) if chance.random() < 0.4 else chance.uniform(0.0, 0.8 * took_s) for _ in range(count)]


def _torn(walk: Walk, own: Ground, wanted: Any) -> list[str]:
    path = Path(f"{own.out}{walk.ending}")
    if walk.ending and path.exists() and path.read_bytes() != wanted:
        return [f"{walk.name}: a kill left {path.name} half written"]
    return []


def _finished(walk: Walk, own: Ground) -> bool:
    """What it would do is done, and it says that there is nothing to do: a file that is never replaced is there, a study
    has moved, its archive is gone."""
    if walk.verb == "judge":
        return Path(f"{own.out}{walk.ending}").exists()
    if walk.verb == "archive":
        return not Store(own.db).runs()
    return walk.verb == "restore" and not [*archive.archives(own.db)]


def _twice(served: Sequence[Served]) -> int:
    asked = Counter(json.dumps([s.body["messages"], s.body.get("seed"), s.body["max_tokens"]]) for s in served)
    return sum(count - 1 for count in asked.values())


def _in_doubt(ground: Ground) -> int:
    with Store(ground.db).reading() as connection:
        (count,) = connection.execute("select count(*) from attempts where outcome = 'in_doubt'").fetchone() or (0,)
    return int(count)


def _claimed(ground: Ground) -> int:
    """Tokens that today counts, of all runs."""
    return _claims(ground)[0]


def _claims(ground: Ground) -> tuple[int, int]:
    """Tokens and money that today counts, of all runs."""
    claims = [lease.claim for lease in Store(ground.db).read_book().of_day(day_of(run_dir.now()))]
    return sum(claim.tokens or 0 for claim in claims), sum(claim.pusd or 0 for claim in claims)
