"""What holds for every test."""

from __future__ import annotations

import os

from tests.support import effort

# Pages are tested without a server; this is where theirs would listen.
os.environ.setdefault("STREAMLIT_SERVER_ADDRESS", "127.0.0.1")
effort.load()
