"""No verb: the dashboard, as a Streamlit server of its own. The only place that knows how it is started."""

from __future__ import annotations

import os
import subprocess
import sys
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path

from engine.console import show
from engine.errors import UsageError
from engine.store import default_path


def serve(options: Namespace) -> int:
    """Start the dashboard and wait for it; Ctrl-C ends both."""
    page = _page()
    if not page.exists():
        raise UsageError("The dashboard is not part of this installation; `budgetscope --help` lists the verbs.")
    show.tell(f"Dashboard on http://{options.host}:{options.port} (Ctrl-C stops it).")
    server = subprocess.Popen(command(page, options.host, options.port), env=environment(options))
    try:
        return server.wait()
    except KeyboardInterrupt:
        server.wait()
        return 0


def command(page: Path, host: str, port: int) -> list[str]:
    """The server's command line: it asks nobody on the network for its address and sends no statistics."""
    settings = {
        "server.address": host,
        "server.port": str(port),
        "server.headless": "true",
        "browser.gatherUsageStats": "false",
        "server.fileWatcherType": "none",
    }
    flags = [f"--{name}={value}" for name, value in settings.items()]
    return [sys.executable, "-m", "streamlit", "run", str(page), *flags]


def environment(options: Namespace) -> Mapping[str, str]:
    """What the page needs to know: the database, and whether it may start runs."""
    db = Path(options.db) if options.db else default_path()
    wishes = {"BUDGETSCOPE_DB": str(db.resolve()), "BUDGETSCOPE_READ_ONLY": "1" if options.read_only else ""}
    return {**os.environ, **wishes}


def _page() -> Path:
    return Path(__file__).resolve().parents[2] / "dashboard" / "app.py"
