"""Output tokens per second of the bundled model through the engine, against the raw llama.cpp server driven directly.

    python -m tests.bench.local [--calls 64] [--tokens 96] [--pairs 5]

Both use the same server process, the same prompts and caps and the same parallelism. Each pair runs both, in turn.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from engine.core.budget import Ceiling, Limits
from engine.core.ids import provider_seed, request_key
from engine.core.records import Message, Request
from engine.models.local import LocalModel, open_local
from engine.runs.completion_cache import CompletionCache
from engine.runs.dispatcher import Dispatcher, Gate
from engine.runs.journal import Journal

PROMPT = "Write a short story about the number {n}."


def requests(model: LocalModel, calls: int, tokens: int, salt: int) -> list[Request]:
    """Different prompts of one length; `salt` keeps a pair from reading the prefix cache of another."""
    from dataclasses import replace

    made = []
    for n in range(calls):
        messages = (Message("user", PROMPT.format(n=salt * 1000 + n)),)
        bare = Request(model.setting.identity, messages, (("temperature", 0.7),), tokens, 0, 0)
        made.append(replace(bare, key=request_key(bare), seed=provider_seed(bare)))
    return made


async def raw(model: LocalModel, wanted: list[Request]) -> float:
    """Output tokens per second of the server alone, by plain HTTP."""
    import httpx

    server = await model._server()
    slots = asyncio.Semaphore(model.parallel)
    headers = {"Authorization": f"Bearer {server.key}"}

    async def one(client: httpx.AsyncClient, request: Request) -> int:
        body: dict[str, Any] = {
            "messages": [{"role": m.role, "content": m.content} for m in request.messages],
            "max_tokens": request.asked_tokens,
            "temperature": 0.7,
            "seed": request.seed,
        }
        async with slots:
            reply = await client.post(f"{server.url}/v1/chat/completions", json=body, headers=headers)
        return int(reply.json()["usage"]["completion_tokens"])

    async with httpx.AsyncClient(timeout=600, trust_env=False) as client:
        began = time.perf_counter()
        counts = await asyncio.gather(*(one(client, request) for request in wanted))
    return sum(counts) / (time.perf_counter() - began)


async def engine(model: LocalModel, wanted: list[Request], folder: Path) -> float:
    """Output tokens per second through pool, ceiling, journal and litellm."""
    notes = Journal(folder / "journal.jsonl")
    buyer = Dispatcher({model.setting.identity: model}, Gate(Ceiling(Limits(tokens=10**9))), notes)
    pool = CompletionCache(buyer.purchase)
    began = time.perf_counter()
    done = await asyncio.gather(*(pool.get(request) for request in wanted))
    took = time.perf_counter() - began
    notes.close()
    return sum(completion.usage.output_tokens for completion, _ in done) / took


async def pairs(args: argparse.Namespace) -> list[tuple[float, float]]:
    """A warm-up, then the counted pairs."""
    model = open_local("local/smollm2-135m")
    found = []
    for salt in range(args.pairs + 1):
        wanted = requests(model, args.calls, args.tokens, 2 * salt)
        with tempfile.TemporaryDirectory() as folder:
            ours = await engine(model, wanted, Path(folder))
        found.append((ours, await raw(model, requests(model, args.calls, args.tokens, 2 * salt + 1))))
    await model.close()
    return found[1:]


def main() -> None:
    """Print each pair and the median ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=96)
    parser.add_argument("--pairs", type=int, default=5)
    found = asyncio.run(pairs(parser.parse_args()))
    for ours, theirs in found:
        print(f"engine {ours:6.1f} tokens/s   server alone {theirs:6.1f} tokens/s   ratio {ours / theirs:.2f}")
    print(f"median ratio {statistics.median(a / b for a, b in found):.2f} (aim: at least 0.90)")


if __name__ == "__main__":
    main()
