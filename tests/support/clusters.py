"""A real Ray cluster of this machine for tests that have Ray, its actors' processes, and runs on it that can be killed."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.children import spawned

INSTALL = "Ray is not installed: uv run --extra ray pytest tests/engine/runs/actors/test_on_ray.py"
STARTS = 4
"""Ray gives its own processes half a minute to start, which on a machine at work is not always enough."""


@dataclass(frozen=True)
class Cluster:
    """One that runs."""

    folder: Path
    port: int
    client_port: int
    environment: dict[str, str]
    """For a process that is to find it by `--on ray`, and may."""

    def actors(self) -> list[int]:
        """Processes of its actors, by number."""
        raylets = [pid for pid, _, line in _processes() if "raylet/raylet" in line and str(self.folder) in line]
        return sorted(pid for pid, parent, line in _processes() if parent in raylets and line.startswith("ray::Actor"))

    def command(self, argv: Sequence[str], out: Path) -> subprocess.Popen[bytes]:
        """A command of ours as a process that finds the cluster; what it says goes into a file."""
        with out.open("ab") as file:
            return subprocess.Popen(
                [sys.executable, "-m", "engine", *argv], env=self.environment, stdout=file, stderr=file
            )


def _processes() -> Iterator[tuple[int, int, str]]:
    """Number, parent and command line of all that run."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                yield int(folder.name), parent, line


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextlib.contextmanager
def cluster(cores: int = 2) -> Iterator[Cluster]:
    """A cluster for the duration of a block."""
    # A short path: sockets lie below it, whose names have a longest.
    with tempfile.TemporaryDirectory(prefix="ray", ignore_cleanup_errors=True) as folder:
        for start in range(STARTS):
            port, token = _free_port(), secrets.token_hex(32)
            quiet = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token}
            # Ray's own is 15: on a machine at work its actors would wait for minutes.
            quiet["RAY_worker_niceness"] = "0"
            known = {**os.environ, **quiet, "RAY_ADDRESS": f"127.0.0.1:{port}"}
            made = Cluster(Path(folder, str(start)), port, _free_port(), known)
            options = {
                "--temp-dir": made.folder,
                "--port": made.port,
                "--ray-client-server-port": made.client_port,
                "--num-cpus": cores,
                "--object-store-memory": 80 << 20,
                "--include-dashboard": "false",
            }
            argv = [sys.executable, "-W", "ignore", "-m", "ray.scripts.scripts", "start", "--head", "--block"]
            argv += [f"{name}={value}" for name, value in options.items()]
            with spawned(
                argv, env={**os.environ, **quiet}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            ) as process:
                assert process.stdout is not None
                if not any("Ray runtime started" in line for line in process.stdout):
                    process.wait()
                    continue
                try:
                    yield made
                finally:
                    process.send_signal(signal.SIGTERM)
                    process.communicate(timeout=60)
                    _end_what_is_left(made)
                return
        raise RuntimeError(f"no cluster came up in {STARTS} starts")


def _end_what_is_left(made: Cluster) -> None:
    """What a killed cluster leaves behind, by the folder it names."""
    for pid, _, line in [*_processes()]:
        if str(made.folder) in line:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def killed_after(process: subprocess.Popen[bytes], cluster: Cluster, seconds: float, actor: int | None) -> bool:
    """Wait so long, then kill an actor (by its place among those there are), or the process itself (None); whether it
    was still at work."""
    deadline = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    if process.poll() is not None:
        return False
    if actor is None:
        process.kill()
        process.wait()
        return True
    pids = cluster.actors()
    if not pids:
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(pids[actor % len(pids)], signal.SIGKILL)
        return True
    return False
