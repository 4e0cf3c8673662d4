"""Bytes that harnesses keep of one answer: ours beside inspect-ai's and lm-eval's, of the same questions and replies.

    python -m tests.bench.kept_bytes [--questions 500] [--venvs DIR] [--only NAME ...]

Every tool asks the same local server in a folder of its own, as in `tests.bench.throughput`, and what lies there
afterwards is counted by kind of file: of ours the database with journal and status beside it, then the study archived.
*Further* is what each question beyond the first fifth adds, so that what a file has at least is no question's.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
from collections import Counter
from pathlib import Path

from engine.cli.archives import part_of
from engine.runs.archiving import archive_study
from engine.store.store import Store
from tests import ROOT
from tests.bench import throughput
from tests.bench.throughput import Peer


def main() -> None:
    """Print a row a tool and kind of file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=int, default=500)
    parser.add_argument("--venvs", type=Path, default=Path(tempfile.gettempdir()) / "budgetscope-venvs")
    parser.add_argument("--only", nargs="*", default=["budgetscope", "inspect-ai", "lm-eval"])
    args = parser.parse_args()
    ours = Peer("budgetscope", throughput._ours)
    peers = [ours, *throughput.environments(args.venvs, set(args.only))]
    print(f"{'tool':12s} {'files':22s} {'bytes':>12s} {'a question':>10s} {'further':>8s}")
    for peer in [each for each in peers if each.name in args.only]:
        if peer.missing:
            print(f"{peer.name:12s} not here: {peer.missing}")
            continue
        few, many = (kept(peer, number) for number in (args.questions // 5, args.questions))
        for kind, size in many.most_common():
            further = (size - few[kind]) / (args.questions - args.questions // 5)
            print(f"{peer.name:12s} {kind:22s} {size:12,d} {size / args.questions:10,.0f} {further:8,.0f}", flush=True)


def kept(peer: Peer, questions: int) -> Counter[str]:
    """By kind, the bytes of the files that a tool leaves."""
    sizes: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as name, throughput.server(0) as url:
        folder = Path(name)
        asked = ((throughput.MESSAGE.format(a=n, b=n + 1), str(2 * n + 1)) for n in range(questions))
        rows = [{"input": text, "target": target, "id": str(n)} for n, (text, target) in enumerate(asked)]
        (folder / "questions.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "BENCH_KEY": "none", **peer.environment(url)}
        words = peer.command(url, folder, questions)
        before = set(folder.rglob("*"))
        done = subprocess.run(
            words, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        if done.returncode:
            raise RuntimeError(f"{peer.name}: {done.stdout[-600:]}")
        for path in sorted(set(folder.rglob("*")) - before):
            if path.is_file():
                sizes[path.suffix or path.name] += path.stat().st_size
        for db in folder.glob("*.duckdb"):
            sizes["archived, .parquet"] = archive_study(Store(db), part_of(db, None)).manifest.bytes
    return sizes


if __name__ == "__main__":
    main()
