"""No way in is forgotten: every verb, page and upload stands in the list that the hard suites walk."""

from __future__ import annotations

import ast

import pytest

from dashboard import moved
from engine.cli import VERBS
from tests import ROOT
from tests.support import doors

UPLOADS = {"file_uploader", "chat_input", "camera_input", "audio_input", "data_editor"}
"""What takes files or tables in Streamlit."""


def test_every_verb_has_a_door() -> None:
    assert sorted(each.name for each in doors.doors("verb")) == sorted(VERBS)


def test_every_page_has_a_door_with_its_address() -> None:
    stated = {(name, path) for name, _, path in (*moved.PAGES, *moved.UNLISTED)}
    assert {(each.name, each.path) for each in doors.doors("page")} == stated
    views = {path.stem for path in (ROOT / "dashboard" / "views").glob("[!_]*.py")}
    assert {each.name for each in doors.doors("page")} == views


def test_every_upload_has_a_door() -> None:
    taking = set()
    for path in (ROOT / "dashboard").rglob("*.py"):
        calls = (node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call))
        if any(isinstance(call.func, ast.Attribute) and call.func.attr in UPLOADS for call in calls):
            taking.add(str(path.relative_to(ROOT)))
    assert {each.name for each in doors.doors("upload")} == taking


def test_a_door_stands_once() -> None:
    with pytest.raises(ValueError, match="has a door already"):
        doors.door("verb", "run", "money")
