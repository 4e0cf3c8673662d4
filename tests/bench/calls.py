"""Calls per second through the engine, stored durably, against bare litellm by the same route on the same server.

    python -m tests.bench.calls [--calls 1500] [--flight 64] [--pairs 5]

The server is a local one without latency, in a process of its own. Each pair runs both, in turn; the ratio is per pair.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.bench.throughput import server

os.environ.setdefault("BENCH_KEY", "none")
PROMPT = "What is {a} + {b}?"


async def bare(api_base: str, calls: int, flight: int) -> float:
    """Calls per second of litellm alone."""
    import litellm

    slots = asyncio.Semaphore(flight)

    async def one(n: int) -> None:
        asked: list[dict[str, Any]] = [{"role": "user", "content": PROMPT.format(a=n, b=n + 1)}]
        async with slots:
            await litellm.acompletion(
                model="hosted_vllm/bench",
                messages=asked,
                api_base=api_base,
                api_key="none",
                max_tokens=32,
                temperature=0.7,
                seed=n,
                max_retries=0,
                num_retries=0,
                timeout=60,
            )

    began = time.perf_counter()
    await asyncio.gather(*(one(n) for n in range(calls)))
    return calls / (time.perf_counter() - began)


def study_text(api_base: str, data: Path, flight: int) -> str:
    """A study of one call per question."""
    return f"""
name = "bench"
budgets = [1000]
models = [{{name = "bench", api_base = "{api_base}", parallel = {flight}, prices = {{input = 0.1, output = 0.4}}}}]
tasks = ["file:{data}"]
strategies = ["direct"]
[ceiling]
usd = 1000.0
"""


def engine(api_base: str, calls: int, flight: int, folder: Path) -> float:
    """Calls per second of a run, from the first trial to the last row stored."""
    from engine.study.plan import plan
    from engine.study.schema import parse

    data = folder / "questions.jsonl"
    rows = [{"question": PROMPT.format(a=n, b=n + 1), "answer": str(2 * n + 1)} for n in range(calls)]
    data.write_text("\n".join(map(json.dumps, rows)))
    planned = plan(parse(study_text(api_base, data, flight), "bench"))
    return asyncio.run(_run(planned, folder, calls))


async def _run(planned: Any, folder: Path, calls: int) -> float:
    from engine.core.budget import Ceiling
    from engine.runs.dispatcher import Gate
    from engine.runs.journal import Journal
    from engine.runs.runner import Runner
    from engine.store.store import Store

    store = Store(folder / "bench.duckdb")
    store.create()
    notes = Journal(folder / "journal.jsonl")
    began = time.perf_counter()
    runner = Runner(planned, store, Gate(Ceiling(planned.study.ceiling)), notes, "bench")
    await runner.run()
    took = time.perf_counter() - began
    assert runner.progress.done == calls, runner.progress
    for model in planned.models.values():
        await model.close()
    return calls / took


def main() -> None:
    """Print each pair and the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=1500)
    parser.add_argument("--flight", type=int, default=64)
    parser.add_argument("--pairs", type=int, default=5)
    args = parser.parse_args()
    with server(0) as url:
        pairs = [_pair(url.rstrip("/"), args.calls, args.flight) for _ in range(args.pairs + 1)][1:]
    for ours, theirs in pairs:
        print(f"engine {ours:7.1f} calls/s   litellm {theirs:7.1f} calls/s   ratio {ours / theirs:.2f}")
    print(f"median ratio {statistics.median(a / b for a, b in pairs):.2f} (aim: at least 0.80)")


def _pair(url: str, calls: int, flight: int) -> tuple[float, float]:
    base = url if url.endswith("/v1") else f"{url}/v1"
    with tempfile.TemporaryDirectory() as folder:
        ours = engine(base, calls, flight, Path(folder))
    return ours, asyncio.run(bare(base, calls, flight))


if __name__ == "__main__":
    main()
