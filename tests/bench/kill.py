"""Kills runs at random moments and resumes them, until nothing is left to do; then does the books.

    python -m tests.bench.kill [--kills 200] [--runs 50] [--each 4] [--seed 7] [--questions 40] [--latency-ms 15]

Every second run is started as a page starts it (its folder made by another process, then `resume`), every third over a
database of an older schema, which the run upgrades, every fourth goes through the library of providers; one resume in
six has another beside it. Every run is a real process of the command line against a real local server. A kill is a
SIGKILL after a random time, or at a random one of the points that the tests name. Then every other door that brings
money or files is killed `--each` times (`tests.support.walks`). Exit code 1 if a reply that was acknowledged is
missing, a request was asked again although its reply was there, more tokens were served than were charged or than the
ceiling, a file is half written, or the results differ from those of a run that nobody disturbed.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from engine.core.records import Completion
from engine.runs import journal, run_dir
from engine.runs.worker import prepare
from engine.study.schema import load
from tests.support import killer, walks
from tests.support.provider import Provider, serving
from tests.support.walks import Fire

STUDY = """
name = "bench"
budgets = [600]
models = [{{name = "m", api_base = "{api_base}", parallel = 8, prices = {{input = 1.0, output = 2.0}}}}]
tasks = ["file:{data}"]
strategies = [{{name = "self_consistency", samples = 4, chain_tokens = 48}},
              {{name = "chain_of_thought", chain_tokens = 48}}, {{name = "direct", answer_tokens = 16}}]
[ceiling]
usd = 1.0
tokens = {ceiling}
"""
DONE, STOPPED = 0, 3
# Beside other work a run may take minutes; this measures no speed.
killer.DONE_S = 900.0


@dataclass
class Tally:
    """Sums over all runs of the benchmark."""

    kills: int = 0
    where: Counter[str] = field(default_factory=Counter)
    runs: int = 0
    at_ceiling: int = 0
    """Of these, the ones that what kills left in doubt drove to their ceiling."""
    served: int = 0
    acknowledged: int = 0
    stored: int = 0
    asked_twice: int = 0
    in_flight: int = 0
    needless: int = 0
    fullest: float = 0.0
    """Largest share of a ceiling that was served, in tokens."""
    longest_s: float = 3.0
    """A random kill comes at most so long after the start: about what an undisturbed run takes."""
    faults: list[str] = field(default_factory=list)


def disturbed(
    argv: Sequence[str], out: Path, chance: random.Random, longest_s: float, lane: Sequence[str]
) -> str | None:
    """Run a command and kill it somewhere; where it died, or None: it was done before."""
    if argv[0] == "resume" and chance.random() < 1 / 6:
        both = [killer.start(argv, out, *lane) for _ in range(2)]
        both[0].join(chance.uniform(0.0, longest_s))
        for child in both:
            child.kill()
        return "two resumes at once" if min(map(killer.ended, both)) < 0 else None
    if chance.random() < 0.5:
        starts = [killer.IN_A_START] if argv[0] == "run" else []
        point = chance.choice([*killer.POINTS, *starts])
        return point if killer.run(argv, out, *lane, point) < 0 else None
    child = killer.start(argv, out, *lane)
    child.join(chance.uniform(0.0, longest_s))
    child.kill()
    return "a random moment" if killer.ended(child) < 0 else None


def one_run(folder: Path, study: Path, wanted: int, runs: int, chance: random.Random, tally: Tally) -> Path | None:
    """One run under fire until it is done or was killed often enough, then resumed in peace; its database."""
    db, out = folder / "results.duckdb", folder / "out"
    argv, lane = ["run", str(study), "--db", str(db)], ["by litellm"] if tally.runs % 4 == 3 else []
    seen: dict[str, Completion] = {}
    if tally.runs % 3 == 0:
        killer.aged(db)
    if tally.runs % 2:
        argv = ["resume", prepare(load(study), db).run_id, "--db", str(db)]
    most = tally.kills + chance.randint(1, 2 * max(1, wanted // runs))
    while tally.kills < min(most, wanted):
        died = disturbed(argv, out, chance, tally.longest_s, lane)
        if run_dir.list_runs(db):
            run = killer.run_of(db)
            argv = ["resume", run.run_id, "--db", str(db)]
            _remember(seen, journal.read(run.journal).completions, tally)
        if died is None:
            break
        tally.kills += 1
        tally.where[died] += 1
    code = killer.run(argv, out, *lane)
    if code not in (DONE, STOPPED):
        tally.faults.append(f"the last resume ended with {code}: {out.read_text(encoding='utf-8')[-300:]}")
        return None
    tally.acknowledged += len(seen)
    return db


def _remember(seen: dict[str, Completion], now: dict[str, Completion], tally: Tally) -> None:
    """A reply that the journal acknowledged once is there for ever."""
    if any(now.get(key) != reply for key, reply in seen.items()):
        tally.faults.append("the journal forgot a reply")
    seen.update(now)


def books(db: Path, provider: Provider, before: int, ceiling: int, tally: Tally) -> None:
    """Compare what the server served with what the run says."""
    book = killer.account(killer.run_of(db), provider.served[before:])
    tally.runs += 1
    tally.served += book.served
    tally.stored += len(killer.table(db, "completions"))
    tally.asked_twice += book.asked_twice
    tally.in_flight += book.in_flight
    tally.needless += book.needless
    tally.fullest = max(tally.fullest, book.served_tokens / ceiling)
    for wrong, what in (
        (book.lost, "acknowledged replies are not in the database"),
        (book.needless, "requests were asked again although their outcome was known"),
        (max(0, book.asked_twice - book.in_flight), "requests were asked twice that were not in flight at a kill"),
        (max(0, book.served_tokens - book.charged_tokens), "tokens were served and not charged"),
        (max(0, book.charged_tokens - ceiling), "tokens were charged beyond the ceiling"),
    ):
        if wrong:
            tally.faults.append(f"{wrong} {what}")


def bench(folder: Path, options: argparse.Namespace) -> Tally:
    """All runs, on one server."""
    tally, chance = Tally(), random.Random(options.seed)
    with serving(latency_s=options.latency_ms / 1000) as provider:
        data = killer.sums(folder / "sums.jsonl", options.questions)
        study = folder / "study.toml"
        ceiling = 700 * options.questions
        study.write_text(STUDY.format(api_base=provider.api_base, data=data, ceiling=ceiling), encoding="utf-8")
        calm = folder / "calm.duckdb"
        began = time.monotonic()
        assert killer.run(["run", str(study), "--db", str(calm)], folder / "out") == 0, (folder / "out").read_text()
        tally.longest_s = time.monotonic() - began
        wanted = killer.findings(calm)
        while (tally.kills < options.kills or tally.runs < options.runs) and not tally.faults:
            home = folder / f"run{tally.runs}"
            home.mkdir()
            before = len(provider.served)
            db = one_run(home, study, options.kills, options.runs, chance, tally)
            if db is not None:
                books(db, provider, before, ceiling, tally)
                if run_dir.read(killer.run_of(db)).state == "ceiling":
                    tally.at_ceiling += 1
                elif killer.findings(db) != wanted:
                    tally.faults.append("the results differ from those of an undisturbed run")
                print(f"run {tally.runs}: {tally.kills} kills, {tally.served} served", file=sys.stderr, flush=True)
    return tally


def doors(folder: Path, each: int, chance: random.Random) -> Iterator[tuple[str, Fire]]:
    """Every walk under fire, until it was killed so often or cannot be any more."""
    with walks.made(folder) as (ground, provider):
        for at, walk in enumerate(walks.WALKS):
            wanted, took_s = walks.calm(walk, ground, folder / f"calm{at}")
            kills = walks.moments(walk, took_s, each, chance)
            yield walk.name, walks.under_fire(walk, ground, provider, folder / f"fire{at}", wanted, kills)


def main() -> int:
    """Print the books; 1 on any loss."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--runs", type=int, default=50, help="at least so many")
    parser.add_argument("--each", type=int, default=4, help="kills of every other door")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--questions", type=int, default=40)
    parser.add_argument("--latency-ms", type=float, default=15.0)
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        tally = bench(Path(folder), options)
    print(
        f"kill points survived     {tally.kills} in {tally.runs} runs ({tally.at_ceiling} to their ceiling), {time.monotonic() - began:.0f} s"
    )
    for where, count in tally.where.most_common():
        print(f"  {count:4} {where}")
    print(f"completions served       {tally.served}")
    print(f"  acknowledged at kills  {tally.acknowledged}")
    print(f"  stored                 {tally.stored}")
    print(
        f"requests asked twice     {tally.asked_twice}, in flight at a kill: {tally.in_flight}, needless: {tally.needless}"
    )
    print(f"most served of a ceiling {tally.fullest:.0%} of its tokens")
    faults = tally.faults
    with tempfile.TemporaryDirectory() as folder:
        print("door                                        kills  served  twice  in doubt")
        for name, fire in doors(Path(folder), options.each, random.Random(options.seed)) if options.each else ():
            print(f"{name:42s} {fire.kills:6} {fire.served:7} {fire.asked_twice:6} {fire.in_doubt:9}", flush=True)
            faults += fire.faults
    for fault in faults:
        print(f"LOSS: {fault}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
