"""The suite: engine/ and dashboard/ by room, browser/ in a real Chromium, bench/ for speed, support/ for what they share."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
"""The checkout, where examples and the demo database lie."""
