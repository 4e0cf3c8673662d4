"""What holds for every test."""

from __future__ import annotations

import os
from functools import cache

from streamlit import config
from streamlit.components.v2 import manifest_scanner

from engine.core import memory
from tests.support import effort, hasty, instances, new_files, parsing

# Pages are tested without a server; this is where theirs would listen. Set here, since Streamlit reads its files once,
# when it is first asked, and from whatever folder a test stands in then.
config.set_option("server.address", "127.0.0.1")
# Before every run of a page AppTest reads what all installed packages say of themselves, 0.3 s of a processor each time.
manifest_scanner.scan_component_manifests = cache(manifest_scanner.scan_component_manifests)
# Nobody else can ask a page that has no server, so it needs no token; what starts a server says again what it wants.
os.environ["BUDGETSCOPE_NO_TOKEN"] = "1"
effort.load()
parsing.alone()
hasty.files()
hasty.started()
new_files.copied()
instances.shared()


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are processors: a quarter of the time some test waits, for a browser, a process or a clock."""
    return 1 + (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def pytest_collection_finish() -> None:
    """Thousands of tests and all they import stay to the end: no collection of garbage need walk through them."""
    memory.keep()
