"""What a harness costs a call: ours beside inspect-ai, lm-eval and promptfoo, and beside bare clients, on one server.

    python -m tests.bench.throughput [--questions 1000] [--rounds 3] [--latency-ms 0 100] [--venvs DIR] [--only NAME ...]

Every tool asks the same questions of the same local server in a process of its own, 64 in flight, and keeps what it
keeps; a round runs all of them in turn, so that a busy machine is busy for all. *Whole* is the command from its start to
its end. *Steady* is what further calls cost: the difference between that many questions and a fifth of them, so that no
tool's start counts. CPU is the command's and its children's, the server's not among it. A tool that asked another number
of questions than it was given is marked, and one that is not here is named with what would bring it.

Other tools live in throw-away environments under --venvs (made where they lack; pip and npm need a registry once).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.models.remote import LANE
from tests import ROOT

FLIGHT, CAP = 64, 32
PATIENCE_S = 900
"""Seconds a tool may take to be installed."""
MESSAGE = "What is {a} + {b}?"


@dataclass(frozen=True)
class Peer:
    """A way to ask all questions of a file."""

    name: str
    command: Callable[[str, Path, int], list[str]]
    """Arguments, by the server's address, a folder of its own with `questions.jsonl`, and how many these are."""
    environment: Callable[[str], Mapping[str, str]] = lambda _: {}
    missing: str | None = None
    """Why it cannot run here; None: it can."""


@dataclass(frozen=True)
class Cost:
    """One command."""

    wall_s: float
    cpu_s: float
    asked: int


@contextlib.contextmanager
def server(latency_ms: float) -> Iterator[str]:
    """The address of a fresh server process."""
    command = [sys.executable, "-m", "tests.support.provider", "--port", "0", "--latency-ms", str(latency_ms)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        found = re.search(r"http://\S+", process.stdout.readline())
        assert found is not None, "the server did not say where it listens"
        yield found.group(0)
    finally:
        process.terminate()
        process.wait()


def measured(peer: Peer, questions: int, latency_ms: float) -> Cost:
    """Run a peer once on a fresh server. Raises RuntimeError with its last words where it fails."""
    with server(latency_ms) as url, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = [
            {"input": MESSAGE.format(a=n, b=n + 1), "target": str(2 * n + 1), "id": str(n)} for n in range(questions)
        ]
        (folder / "questions.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "BENCH_KEY": "none", **peer.environment(url)}
        with open(folder / "said", "w+b") as said:
            began = time.perf_counter()
            process = subprocess.Popen(
                peer.command(url, folder, questions), cwd=folder, env=environment, stdout=said, stderr=said
            )
            _, status, used = os.wait4(process.pid, 0)
            wall = time.perf_counter() - began
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                said.seek(0)
                raise RuntimeError(f"{peer.name}: {said.read()[-600:].decode('utf-8', 'replace')}")
        with urllib.request.urlopen(url.removesuffix("/v1") + "/served") as reply:
            return Cost(wall, used.ru_utime + used.ru_stime, json.load(reply)["count"])


# Ours and the bare clients.


def _ours(url: str, folder: Path, _: int) -> list[str]:
    rows = map(json.loads, (folder / "questions.jsonl").read_text().splitlines())
    own = (json.dumps({"question": row["input"], "answer": row["target"]}) for row in rows)
    (folder / "own.jsonl").write_text("\n".join(own))
    (folder / "study.toml").write_text(f"""
name = "bench"
budgets = [1000]
tasks = ["file:{folder}/own.jsonl"]
strategies = [{{name = "direct", answer_tokens = {CAP}}}]
models = [{{name = "bench", api_base = "{url}", parallel = {FLIGHT}, prices = {{input = 0.1, output = 0.4}}}}]
[ceiling]
usd = 1000.0
""")
    return [sys.executable, "-m", "engine", "run", "study.toml", "--db", "bench.duckdb"]


async def aiohttp_client(url: str, bodies: list[bytes]) -> None:
    import aiohttp

    slots = asyncio.Semaphore(FLIGHT)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def one(body: bytes) -> None:
            async with slots, session.post(f"{url}/chat/completions", data=body) as reply:
                json.loads(await reply.read())["choices"][0]["message"]["content"]

        await asyncio.gather(*map(one, bodies))


async def httpx_client(url: str, bodies: list[bytes], library: str = "httpx") -> None:
    client = __import__(library).AsyncClient(timeout=60)
    slots = asyncio.Semaphore(FLIGHT)

    async def one(body: bytes) -> None:
        async with slots:
            reply = await client.post(f"{url}/chat/completions", content=body)
            json.loads(reply.content)["choices"][0]["message"]["content"]

    await asyncio.gather(*map(one, bodies))
    await client.aclose()


async def httpx2_client(url: str, bodies: list[bytes]) -> None:
    await httpx_client(url, bodies, "httpx2")


async def openai_client(url: str, bodies: list[bytes]) -> None:
    from openai import AsyncOpenAI

    client = AsyncOpenAI(base_url=url, api_key="none", max_retries=0)
    slots = asyncio.Semaphore(FLIGHT)

    async def one(body: bytes) -> None:
        async with slots:
            _ = (await client.chat.completions.create(**json.loads(body))).choices[0].message.content

    await asyncio.gather(*map(one, bodies))


async def litellm_client(url: str, bodies: list[bytes]) -> None:
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    import litellm

    slots = asyncio.Semaphore(FLIGHT)

    async def one(body: bytes) -> None:
        asked = {**json.loads(body), "model": "hosted_vllm/bench"}
        async with slots:
            reply: Any = await litellm.acompletion(**asked, api_base=url, api_key="none", max_retries=0)
            _ = reply.choices[0].message.content

    await asyncio.gather(*map(one, bodies))


CLIENTS = {
    "aiohttp": aiohttp_client,
    "httpx": httpx_client,
    "httpx2": httpx2_client,
    "openai": openai_client,
    "litellm": litellm_client,
}
"""Bare clients, which store nothing."""


def client(name: str, url: str, questions: int) -> None:
    """Ask with a bare client; what a process of its own does."""
    asked = ({"role": "user", "content": MESSAGE.format(a=n, b=n + 1)} for n in range(questions))
    bodies = [
        json.dumps({"model": "bench", "messages": [turn], "max_tokens": CAP, "temperature": 0.7, "seed": seed}).encode()
        for seed, turn in enumerate(asked)
    ]
    asyncio.run(CLIENTS[name](url, bodies))


def _client(name: str) -> Callable[[str, Path, int], list[str]]:
    def command(url: str, _: Path, questions: int) -> list[str]:
        return [sys.executable, "-m", "tests.bench.throughput", "--client", name, url, str(questions)]

    return command


# Other tools, each as its own documentation asks an OpenAI-compatible server.


def _inspect(python: Path) -> Callable[[str, Path, int], list[str]]:
    def command(_: str, folder: Path, __: int) -> list[str]:
        (folder / "sums.py").write_text("""
from inspect_ai import Task, task
from inspect_ai.dataset import json_dataset
from inspect_ai.scorer import includes
from inspect_ai.solver import generate

@task
def sums():
    return Task(dataset=json_dataset("questions.jsonl"), solver=generate(), scorer=includes())
""")
        tool = str(python.with_name("inspect"))
        flags = [
            "--max-connections",
            str(FLIGHT),
            "--max-tokens",
            str(CAP),
            "--temperature",
            "0.7",
            "--display",
            "none",
        ]
        return [tool, "eval", "sums.py", "--model", "openai-api/bench/m", *flags, "--log-dir", "logs"]

    return command


def _lm_eval(python: Path) -> Callable[[str, Path, int], list[str]]:
    def command(url: str, folder: Path, _: int) -> list[str]:
        (folder / "sums.yaml").write_text(f"""
task: sums
dataset_path: json
dataset_kwargs: {{data_files: {{test: {folder}/questions.jsonl}}}}
test_split: test
output_type: generate_until
doc_to_text: "{{{{input}}}}"
doc_to_target: "{{{{target}}}}"
generation_kwargs: {{until: [], max_gen_toks: {CAP}, temperature: 0.7, do_sample: true}}
metric_list: [{{metric: exact_match}}]
""")
        model = f"model=m,base_url={url}/chat/completions,num_concurrent={FLIGHT},max_retries=1"
        flags = ["--apply_chat_template", "--include_path", str(folder), "--log_samples", "--output_path", "out"]
        tool = str(python.with_name("lm_eval"))
        return [tool, "--model", "local-chat-completions", "--model_args", model, "--tasks", "sums", *flags]

    return command


def _promptfoo(tool: Path) -> Callable[[str, Path, int], list[str]]:
    def command(url: str, folder: Path, _: int) -> list[str]:
        rows = [json.loads(line) for line in (folder / "questions.jsonl").read_text().splitlines()]
        tests = [
            {"vars": {"q": row["input"]}, "assert": [{"type": "contains", "value": row["target"]}]} for row in rows
        ]
        sent = {"apiBaseUrl": url, "apiKey": "none", "max_tokens": CAP, "temperature": 0.7}
        config = {"prompts": ["{{q}}"], "providers": [{"id": "openai:chat:m", "config": sent}], "tests": tests}
        (folder / "config.json").write_text(json.dumps(config))
        flags = ["--no-cache", "--no-table", "--no-progress-bar", "-j", str(FLIGHT), "-o", "out.json"]
        return [str(tool), "eval", "-c", "config.json", *flags]

    return command


def _keyless(url: str) -> Mapping[str, str]:
    """Variables of the other tools: a key that is none, and nothing fetched."""
    keys = {"BENCH_API_KEY": "none", "OPENAI_API_KEY": "none"}
    return {**keys, "BENCH_BASE_URL": url, "HF_HUB_OFFLINE": "1", "INSPECT_DISPLAY": "none"}


def environments(folder: Path, wanted: set[str]) -> list[Peer]:
    """The other tools, installed where they lack; one that could not be is a peer that says why."""
    peers: list[Peer] = []
    for name, packages, made in (
        ("inspect-ai", ("inspect-ai", "openai"), _inspect),
        ("lm-eval", ("lm-eval[api]", "datasets"), _lm_eval),
    ):
        if name not in wanted:
            continue
        python, why = folder / name / "bin" / "python", None
        if not python.exists() or not any(python.with_name(tool).exists() for tool in ("inspect", "lm_eval")):
            why = _said([sys.executable, "-m", "venv", str(folder / name)]) or _said(
                [str(python), "-m", "pip", "install", "-q", *packages]
            )
        peers.append(Peer(name, made(python), _keyless, why))
    if "promptfoo" in wanted:
        tool, why = folder / "promptfoo" / "node_modules" / ".bin" / "promptfoo", None
        if not tool.exists():
            npm = shutil.which("npm")
            why = (
                "npm is not here"
                if npm is None
                else _said([npm, "install", "--silent", "--prefix", str(folder / "promptfoo"), "promptfoo"])
            )
        quiet = {
            "PROMPTFOO_DISABLE_TELEMETRY": "1",
            "PROMPTFOO_DISABLE_UPDATE": "1",
            "PROMPTFOO_CONFIG_DIR": str(folder / "promptfoo" / "state"),
            "PROMPTFOO_FAILED_TEST_EXIT_CODE": "0",
        }
        peers.append(Peer("promptfoo", _promptfoo(tool), lambda _: quiet, why))
    return peers


def _said(command: list[str]) -> str | None:
    """The last words of a command that failed; None: it did not."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE_S)
    except subprocess.TimeoutExpired:
        return f"`{' '.join(command[:3])} …` took longer than {PATIENCE_S} s"
    return None if done.returncode == 0 else (done.stderr.strip().splitlines() or ["it failed"])[-1][:160]


NAMES = ("ours", "ours by litellm", "inspect-ai", "lm-eval", "promptfoo", *(f"bare {name}" for name in CLIENTS))


def table(peers: list[Peer], questions: int, rounds: int, latency_ms: float) -> None:
    """Measure them in turn and print medians; a ratio is ours over theirs of the same round."""
    few = max(1, questions // 5)
    costs: dict[str, list[tuple[Cost, Cost]]] = {}
    broken: dict[str, str] = {peer.name: peer.missing for peer in peers if peer.missing}
    for _ in range(rounds):
        for peer in peers:
            if peer.name not in broken:
                try:
                    pair = measured(peer, few, latency_ms), measured(peer, questions, latency_ms)
                except (RuntimeError, OSError) as error:
                    broken[peer.name] = " ".join(str(error).split())[-300:]
                else:
                    costs.setdefault(peer.name, []).append(pair)
                    print(f"    {peer.name}: {pair[1].wall_s:.1f} s, {pair[1].cpu_s:.2f} CPU s", file=sys.stderr)
    print(f"\n{questions:,} questions, {FLIGHT} in flight, {latency_ms:g} ms latency, medians of {rounds}")
    print(f"{'':18s}{'whole':>20s}{'':4s}{'steady':>30s}{'':4s}{'ours / theirs':>18s}")
    print(f"{'':18s}{'wall s':>10s}{'CPU s':>10s}{'':4s}{'calls/s':>12s}{'calls/CPU s':>18s}{'':4s}{'CPU, whole':>18s}")
    for name, pairs in costs.items():
        more = questions - few
        walls, used = ([getattr(b, of) - getattr(a, of) for a, b in pairs] for of in ("wall_s", "cpu_s"))
        of_round = [ours[1].cpu_s / theirs[1].cpu_s for ours, theirs in zip(costs.get("ours", []), pairs, strict=False)]
        wrong = {b.asked for _, b in pairs} - {questions}
        print(
            f"{name:18s}{statistics.median(b.wall_s for _, b in pairs):10.2f}"
            f"{statistics.median(b.cpu_s for _, b in pairs):10.2f}{'':4s}"
            f"{more / max(1e-3, statistics.median(walls)):12.0f}{more / max(1e-3, statistics.median(used)):18.0f}{'':4s}"
            f"{statistics.median(of_round) if of_round else float('nan'):18.2f}"
            f"{f'  asked {sorted(wrong)}' if wrong else ''}"
        )
    for name, why in broken.items():
        print(f"{name:18s}MISSING: {why}")


def main() -> None:
    """Print a table per latency."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--latency-ms", type=float, nargs="+", default=[0.0, 100.0])
    parser.add_argument("--venvs", type=Path, default=Path(tempfile.gettempdir()) / "bench-venvs")
    parser.add_argument("--only", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--client", nargs=3, metavar=("NAME", "URL", "QUESTIONS"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.client:
        client(args.client[0], args.client[1], int(args.client[2]))
        return
    wanted = set(args.only)
    ours = [Peer("ours", _ours), Peer("ours by litellm", _ours, lambda _: {LANE: "litellm"})]
    bare = [Peer(f"bare {name}", _client(name)) for name in CLIENTS]
    peers = [peer for peer in (*ours, *bare) if peer.name in wanted] + environments(args.venvs.resolve(), wanted)
    for latency_ms in args.latency_ms:
        table(peers, args.questions, args.rounds, latency_ms)


if __name__ == "__main__":
    main()
