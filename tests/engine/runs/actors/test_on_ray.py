"""Runs on a real Ray cluster of this machine, with its actors and its own process killed; left out where Ray is not
installed, where `test_actors` holds a run to the same over a place that needs none."""

from __future__ import annotations

import importlib.util
import random
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.runs import run_dir
from tests.support import clusters, killer
from tests.support.clusters import Cluster
from tests.support.killer import CEILING, Stage

if importlib.util.find_spec("ray") is None or importlib.util.find_spec("grpc") is None:
    pytest.skip(clusters.INSTALL, allow_module_level=True)
pytestmark = pytest.mark.xdist_group("ray")


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with killer.staged(tmp_path_factory.mktemp("ray")) as made:
        yield made


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with clusters.cluster() as made:
        yield made


def work(cluster: Cluster, argv: list[str], out: Path, on: str = "ray") -> subprocess.Popen[bytes]:
    return cluster.command([*argv, "--on", on, "--actors", "2"], out)


def test_rows_are_those_of_a_run_without_a_cluster(tmp_path: Path, stage: Stage, cluster: Cluster) -> None:
    db, out, before = tmp_path / "r.duckdb", tmp_path / "out", len(stage.provider.served)
    assert work(cluster, stage.argv(db), out).wait() == 0, out.read_text()
    assert killer.findings(db) == stage.calm and len(stage.provider.served) - before == stage.calls
    # The actors went with the run.
    killer.until(lambda: not cluster.actors())


def test_by_its_address_a_cluster_is_used_from_outside(tmp_path: Path, stage: Stage, cluster: Cluster) -> None:
    db, out = tmp_path / "r.duckdb", tmp_path / "out"
    address = f"ray://127.0.0.1:{cluster.client_port}"
    assert work(cluster, stage.argv(db), out, address).wait() == 0, out.read_text()
    assert killer.findings(db) == stage.calm


def test_where_no_cluster_is_the_run_says_so_and_nothing_is_sent(
    tmp_path: Path, stage: Stage, cluster: Cluster
) -> None:
    db, out, before = tmp_path / "r.duckdb", tmp_path / "out", len(stage.provider.served)
    assert work(cluster, stage.argv(db), out, "ray://127.0.0.1:1").wait() == 1
    said = out.read_text()
    assert "The cluster at ray://127.0.0.1:1 cannot be reached or started: " in said and "Traceback" not in said
    assert len(stage.provider.served) == before


def test_killed_actors_and_a_killed_run_lose_nothing(tmp_path: Path, stage: Stage, cluster: Cluster) -> None:
    db, out, before = tmp_path / "r.duckdb", tmp_path / "out", len(stage.provider.served)
    chance, argv, kills = random.Random(3), stage.argv(db), 0
    stage.provider.latency_s = 1.0
    try:
        # An actor, the run itself, and two actors of the run that goes on.
        for victims in ((0, None), (1, 0)):
            process, size = work(cluster, argv, out), noted(db)
            while process.poll() is None and noted(db) <= size:
                time.sleep(0.01)
            for victim in victims:
                kills += clusters.killed_after(process, cluster, chance.uniform(0.1, 0.8), victim)
            process.wait()
            argv = ["resume", killer.run_of(db).run_id, "--db", str(db)]
    finally:
        stage.provider.latency_s = 0.0
    assert kills >= 3
    assert work(cluster, argv, out).wait() == 0, out.read_text()
    book = killer.account(killer.run_of(db), stage.provider.served[before:])
    assert (book.lost, book.needless) == (0, 0) and book.asked_twice <= book.in_flight
    assert book.served_tokens <= book.charged_tokens <= CEILING
    assert killer.findings(db) == stage.calm


def noted(db: Path) -> int:
    """Bytes of the journal of a database's run."""
    return (killer.run_of(db).journal_bytes or 0) if run_dir.list_runs(db) else 0
