"""How a run stands, in words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dashboard.text import progress
from engine.runs.run_dir import Status

RUNNING = Status("r", "sums", "running", alive=True, pid=1, done=80, total=180)


@pytest.mark.parametrize(
    ("status", "leader", "said"),
    [
        (RUNNING, None, "80 of 180 answers in"),
        (RUNNING, "Direct", "80 of 180 answers in; Direct is ahead so far"),
        (replace(RUNNING, state="stopped"), None, "Stopped with 80 of 180 answers in"),
        (replace(RUNNING, state="failed", done=0, total=0), None, "Failed with no answer yet"),
        (replace(RUNNING, state="finished", done=180), "Direct", "All 180 answers in; Direct is most accurate"),
    ],
)
def test_the_title_of_a_run_counts_its_answers_in_one_plain_sentence(
    status: Status, leader: str | None, said: str
) -> None:
    assert progress.title(status, busy=status.state == "running", leader=leader) == said


def test_how_long_a_run_took_is_told_in_whole_units() -> None:
    assert progress.pace(replace(RUNNING, state="finished", alive=False, ran_s=424.2))[0] == "took 7 min"
    assert progress.pace(replace(RUNNING, seconds_left=61.4))[0] == "61 s left"
