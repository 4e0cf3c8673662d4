"""Processes that tests start, and that never outlive a test that failed."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any


@contextmanager
def spawned(command: Sequence[str], **how: Any) -> Iterator[subprocess.Popen[Any]]:
    """A process for the duration of a block, which ends it; killed when the block fails.

    `subprocess.Popen` alone waits at the end of its block for as long as the process likes, also when an exception
    skipped the line that would have ended it. `how`: as `subprocess.Popen` takes it.
    """
    with subprocess.Popen(command, **how) as process:
        try:
            yield process
        except BaseException:
            if how.get("start_new_session"):
                # What it started in turn would go on without it.
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
            process.kill()
            raise
