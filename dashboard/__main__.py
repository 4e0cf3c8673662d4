"""`python -m dashboard [--server.port=8501 …]`: Streamlit's server with the flags it knows, made ready early.

`budgetscope` starts the dashboard this way. `streamlit run dashboard/app.py` shows the same pages and starts no runs;
the first one comes a little later.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path
from typing import NoReturn

from dashboard import ready
from engine.core import memory

LAST_S = 5.0
"""Seconds a page that is being drawn may take to its end once the server has stopped."""


def main() -> NoReturn:
    """Serve until told to stop."""
    memory.few_pools()
    # A page's products of matrices are small: threads that wait for one another beside other sessions cost more than
    # they bring. Read by numpy when it is imported.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    memory.wait()
    from streamlit.web import cli

    ready.begin()
    sys.argv = ["streamlit", "run", str(Path(__file__).with_name("server.py")), *sys.argv[1:]]
    try:
        cli.main(prog_name="streamlit")
    except KeyboardInterrupt:
        leave(0)
    except SystemExit as end:
        leave(end.code if isinstance(end.code, int) else int(end.code is not None))
    leave(0)


def leave(code: int) -> NoReturn:
    """End the process as it is: an interpreter that takes itself apart under a thread inside a C++ library aborts."""
    until = time.monotonic() + LAST_S
    for thread in threading.enumerate():
        if thread.name.startswith("ScriptRunner"):
            thread.join(max(0.0, until - time.monotonic()))
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
