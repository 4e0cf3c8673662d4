"""Runs on actors: killed at random moments, on more and more of them, and how many leases their ledger grants.

    python -m tests.bench.actors kill [--kills 30] [--seed 7] [--questions 60] [--latency-ms 150]
    python -m tests.bench.actors scale [--questions 240] [--latency-ms 400] [--each 8]
    python -m tests.bench.actors ledger [--calls 4000]
    python -m tests.bench.actors beyond [--ms 0.5 5 50]

`kill` and `scale` run on a real Ray cluster of this machine and need Ray (`uv run --extra ray`); `ledger` measures one
core without it, and `beyond` simulates a cluster of many machines: the same ledger, journal and messages, on a clock that
leaps over the time messages and calls take, the time it computes left out: the ledger's limit is `ledger`'s. `kill` ends with 1 if a reply that was
acknowledged is missing, a request was asked again that was not in flight, more was served than charged or than the
ceiling, or the results differ from those of a run that nobody disturbed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import resource
import sys
import tempfile
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from engine.core.budget import Ceiling, Limits
from engine.core.ids import request_key
from engine.core.records import Completion, Message, Request, Usage
from engine.models.scripted import open_scripted
from engine.runs import journal, run_dir
from engine.runs.actors import wire
from engine.runs.actors.crew import Crew
from engine.runs.completion_cache import CompletionCache
from engine.runs.dispatcher import Dispatcher, Gate
from tests.engine.runs.spending.test_rate_limits import leaping
from tests.support import clusters, killer
from tests.support.provider import serving

STUDY = """
name = "actors"
budgets = [600]
models = [{{name = "m", api_base = "{api_base}", parallel = {parallel}, prices = {{input = 1.0, output = 2.0}}}}]
tasks = ["file:{data}"]
strategies = [{{name = "self_consistency", samples = 4, chain_tokens = 48}},
              {{name = "chain_of_thought", chain_tokens = 48}}, {{name = "direct", answer_tokens = 16}}]
[ceiling]
usd = 10.0
tokens = {ceiling}
"""
CEILING = 400_000


def study(folder: Path, api_base: str, questions: int, parallel: int) -> Path:
    """The study of these measurements: five calls a question."""
    data, path = killer.sums(folder / "sums.jsonl", questions), folder / f"study{parallel}.toml"
    path.write_text(STUDY.format(api_base=api_base, data=data, ceiling=CEILING, parallel=parallel), encoding="utf-8")
    return path


@dataclass
class Tally:
    """What became of the kills."""

    actors: int = 0
    runs: int = 0
    resumes: int = 0
    faults: list[str] = field(default_factory=list)


def kill(folder: Path, options: argparse.Namespace) -> Tally:
    """One run after another under fire, half of the kills in actors and half in the run's own process."""
    tally, chance = Tally(), random.Random(options.seed)
    with serving(latency_s=options.latency_ms / 1000) as provider, clusters.cluster() as cluster:
        path = study(folder, provider.api_base, options.questions, 8)
        calm = folder / "calm.duckdb"
        provider.latency_s = 0.0
        assert killer.run(["run", str(path), "--db", str(calm)], folder / "calm.out") == 0
        wanted, calls = killer.findings(calm), len(provider.served)
        provider.latency_s = options.latency_ms / 1000
        while tally.actors + tally.runs < options.kills:
            db, before = folder / f"{tally.resumes}-{tally.actors}-{tally.runs}.duckdb", len(provider.served)
            argv = ["run", str(path), "--db", str(db)]
            _under_fire(argv, db, cluster, tally, chance, options.kills)
            book = killer.account(killer.run_of(db), provider.served[before:])
            ended = run_dir.read(killer.run_of(db))
            for wrong, what in (
                (ended.state != "finished", f"a run ended {ended.state}: {ended.message}"),
                (book.lost, f"{book.lost} acknowledged replies are not in the database"),
                (book.needless, f"{book.needless} requests were asked again although their outcome was known"),
                (book.asked_twice > book.in_flight, "requests were asked twice that were not in flight at a kill"),
                (book.served_tokens > book.charged_tokens, "tokens were served and not charged"),
                (book.charged_tokens > CEILING, "tokens were charged beyond the ceiling"),
                (killer.findings(db) != wanted, "rows differ from those of the undisturbed run"),
            ):
                if wrong:
                    tally.faults.append(what)
            print(
                f"{tally.actors} actors and {tally.runs} runs killed so far: {book.served} calls served of {calls} "
                f"needed, {book.asked_twice} asked twice, {book.in_flight} in doubt, {book.lost} lost",
                flush=True,
            )
    return tally


def _under_fire(
    argv: list[str], db: Path, cluster: clusters.Cluster, tally: Tally, chance: random.Random, most: int
) -> None:
    """A run until it is done, killed and resumed meanwhile; what is killed has done something since the last kill."""
    out, size = db.with_suffix(".out"), 0
    while True:
        process = cluster.command([*argv, "--on", "ray", "--actors", "3"], out)
        while process.poll() is None:
            size += chance.randrange(8_000)
            while process.poll() is None and _noted(db) <= size:
                time.sleep(0.1)
            if tally.actors + tally.runs >= most:
                break
            of_run = tally.runs * 2 <= tally.actors
            if clusters.killed_after(process, cluster, chance.uniform(0, 0.6), None if of_run else chance.randrange(3)):
                tally.runs, tally.actors = tally.runs + of_run, tally.actors + (not of_run)
            size = _noted(db)
        if process.wait() >= 0:
            return
        argv = ["resume", killer.run_of(db).run_id, "--db", str(db)]
        tally.resumes += 1


def _noted(db: Path) -> int:
    """Bytes of the journal of a database's run."""
    return sum(path.stat().st_size for path in run_dir.folder(db).glob("*/journal.jsonl"))


def scale(folder: Path, options: argparse.Namespace) -> None:
    """The same study on 1, 2 and 4 actors, each with so many calls at once, against a server that takes its time."""
    with serving(latency_s=options.latency_ms / 1000) as provider, clusters.cluster() as cluster:
        for actors in (1, 2, 4):
            at_once = actors * options.each
            path, db = study(folder, provider.api_base, options.questions, at_once), folder / f"{actors}.duckdb"
            before, cpu = len(provider.served), resource.getrusage(resource.RUSAGE_CHILDREN)
            process = cluster.command(
                ["run", str(path), "--db", str(db), "--on", "ray", "--actors", str(actors)], folder / "out"
            )
            assert process.wait() == 0, (folder / "out").read_text()
            used = resource.getrusage(resource.RUSAGE_CHILDREN)
            calls, run = len(provider.served) - before, killer.run_of(db)
            times = sorted(attempt.started_at for attempt in journal.read(run.journal).attempts)
            span_s = (times[-1] - times[0]).total_seconds() + options.latency_ms / 1000
            most = at_once / (options.latency_ms / 1000)
            print(
                f"{actors} actors, {at_once} calls at once, {options.latency_ms:g} ms each: {calls} calls in "
                f"{span_s:.1f} s, {calls / span_s:.0f} calls/s of at most {most:.0f}; the run's own process took "
                f"{used.ru_utime + used.ru_stime - cpu.ru_utime - cpu.ru_stime:.1f} s of CPU, start and end included",
                flush=True,
            )


class _Paper:
    """One place and its one seat, with all actors of a run: each message takes `way_s`, each call `reply_s`.

    What is measured is the run's side, with its messages read and written; who was answered wants the next call."""

    name = "paper"

    def __init__(self, model: str, calls: int, way_s: float, reply_s: float) -> None:
        self.bought = 0
        self._model, self._left = model, calls
        self._way_s, self._reply_s = way_s, reply_s
        self._said: list[wire.Message] = []
        self._more = asyncio.Event()

    async def open(self, setup: bytes = b"") -> Any:
        """As a place: one; as a seat: nothing to do."""
        return None if setup else 1

    async def hire(self) -> _Paper:
        """The one."""
        return self

    async def close(self) -> None:
        """Nothing to do."""

    def end(self) -> None:
        """Nothing to do."""

    def deliver(self, batch: bytes) -> None:
        """A lease is answered once it is there, the call was made and the answer is back."""
        later = asyncio.get_running_loop().call_later
        for message in wire.decoded(batch, list[wire.ToActor]):
            if isinstance(message, wire.Lease):
                usage = Usage(160, 121)
                reply = Completion(message.request.key, "word " * 120, "stop", usage, 400, "m", None, datetime.now(UTC))
                later(2 * self._way_s + self._reply_s, self._say, wire.Sent(message.number, reply))
            else:
                self.bought += 1
                later(2 * self._way_s, self.want)

    def want(self) -> None:
        """Another call, if there are any left."""
        if self._left:
            self._left -= 1
            prompt = (Message("user", f"{self._left} " + "x" * 500),)
            bare = Request(self._model, prompt, (("temperature", 0.7),), 128, 0, 0)
            self._say(wire.Wanted(self._left, replace(bare, key=request_key(bare))))

    def _say(self, message: wire.Message) -> None:
        self._said.append(message)
        self._more.set()

    async def collect(self) -> bytes:
        """What there is to say."""
        await self._more.wait()
        self._more.clear()
        said, self._said = self._said, []
        return wire.encoded(said)


async def _granted(folder: Path, calls: int, at_once: int, way_s: float = 0.0, reply_s: float = 0.0) -> float:
    """Seconds for so many leases: wanted, reserved, journalled, leased, journalled again, settled, answered."""
    model = open_scripted("scripted/noise", None)
    model.parallel = at_once
    identity = model.setting.identity
    seat = _Paper(identity, calls, way_s, reply_s)
    gate, notes = Gate(Ceiling(Limits(tokens=10**12))), journal.Journal(folder / f"journal{at_once}-{way_s}.jsonl")
    crew = Crew(seat, wire.Setup("", ((model.setting.name, identity),), "run", ""), {identity: model})
    await crew.open()
    buyer = Dispatcher({identity: model}, gate, notes, run_id="run", send=crew.send)
    crew.serve(CompletionCache(buyer.purchase), gate)
    began = asyncio.get_running_loop().time()
    for _ in range(at_once):
        seat.want()
    while seat.bought < calls:
        await asyncio.sleep(reply_s / 50)
    took_s = asyncio.get_running_loop().time() - began
    notes.close()
    await crew.close()
    return took_s


def ledger(folder: Path, options: argparse.Namespace) -> None:
    """Leases a second of one core."""
    for at_once in (1, 16, 64, 256, 1024):
        calls, began = max(options.calls, 4 * at_once), time.process_time()
        asyncio.run(_granted(folder, calls, at_once))
        took_s = time.process_time() - began
        print(
            f"{at_once} at once: {calls / took_s:,.0f} leases a second of CPU, {took_s / calls * 1e6:.0f} µs each",
            flush=True,
        )


def beyond(folder: Path, options: argparse.Namespace) -> None:
    """Simulated, on a clock that leaps: the real run's side, each message so long on its way, calls of 1 s."""
    for ms in (0.0, *options.ms):
        for at_once in (64, 1024):
            calls = 4 * at_once
            span_s = leaping(_granted(folder, calls, at_once, ms / 1000, 1.0))
            print(f"{ms:g} ms each way, {at_once} at once: {calls / span_s:,.0f} calls/s of {at_once:,}", flush=True)


def main(argv: list[str] | None = None) -> int:
    """What is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["kill", "scale", "ledger", "beyond"])
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--questions", type=int, default=None)
    parser.add_argument("--latency-ms", type=float, default=None)
    parser.add_argument("--each", type=int, default=8)
    parser.add_argument("--calls", type=int, default=4000)
    parser.add_argument("--ms", type=float, nargs="*", default=[0.5, 5.0, 50.0])
    options = parser.parse_args(argv)
    options.questions = options.questions or {"kill": 60, "scale": 240}.get(options.what)
    options.latency_ms = options.latency_ms or {"kill": 150.0, "scale": 400.0}.get(options.what)
    with tempfile.TemporaryDirectory() as folder:
        if options.what != "kill":
            {"scale": scale, "ledger": ledger, "beyond": beyond}[options.what](Path(folder), options)
            return 0
        tally = kill(Path(folder), options)
    print(json.dumps({"actors killed": tally.actors, "runs killed": tally.runs, "resumes": tally.resumes}))
    for fault in tally.faults:
        print(f"wrong: {fault}", file=sys.stderr)
    return 1 if tally.faults else 0


if __name__ == "__main__":
    sys.exit(main())
