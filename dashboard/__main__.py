"""`python -m dashboard [--server.port=8501 …]`: Streamlit's server with the flags it knows, made ready early.

`budgetscope` starts the dashboard this way. `streamlit run dashboard/app.py` shows the same pages; only the first one
comes a little later.
"""

from __future__ import annotations

import sys
from pathlib import Path

from dashboard import warm


def main() -> None:
    """Serve until told to stop."""
    from streamlit.web import cli

    warm.begin()
    sys.argv = ["streamlit", "run", str(Path(__file__).with_name("app.py")), *sys.argv[1:]]
    cli.main(prog_name="streamlit")


if __name__ == "__main__":
    main()
