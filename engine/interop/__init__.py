"""Other tools' files, in: importers by name, each of which reads one kind of log as answered questions.

    @importer("our_logs")
    class OurLogs:
        def reads(self, path: Path) -> bool: ...
        def answers(self, path: Path) -> Iterator[ImportedAnswer]: ...

An importer reads; it stores nothing, calls nobody and runs nothing of what it reads. What a log does not say stays
None. `engine.testing.ImporterContract` holds it to that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Protocol

from engine.core.errors import UsageError, shortened
from engine.core.records import Prompt, Spend
from engine.core.registry import Registry
from engine.interop import logs

__all__ = ["IMPORTERS", "ImportedAnswer", "Importer", "importer", "importer_for", "load", "logs_in"]


@dataclass(frozen=True, slots=True)
class ImportedAnswer:
    """One question answered by one setting of another tool."""

    tool: str
    """Whose log it is; settings carry it, because prompts differ."""
    setting: str
    """What the tool calls its solver or strategy."""
    model: str
    """As the log names it, to be matched to prices by whoever stores it."""
    question: str
    """The input as the model got it; with the target it decides which question it is, never a sample id alone."""
    target: str | None
    """None: the log does not say."""
    answer: str | None
    """What was scored; None: no answer was found."""
    score: float | None
    """The log's own, from 0 to 1; None: it was not scored."""
    scorer: str | None
    """Who gave that score; None: the log does not say."""
    repeat: int = 0
    """Epoch of the same question, from 0."""
    spend: Spend | None = None
    """Calls, tokens and milliseconds as reported; None: the log does not say, which is not 0."""
    answered_at: datetime | None = None
    """UTC; None: the log does not say."""
    error: str | None = None
    """Why it failed, in the tool's words; None: it did not. A failed answer has no score."""
    unreported: tuple[str, ...] = ()
    """Parts of `spend` that the log does not say; whatever stands there means nothing."""
    task: str = ""
    """What the tool calls the set of questions; empty: it does not say, and the file's name stands for it."""
    log: str = ""
    """The tool's own id of the run; empty: it has none, and the file's content stands for it."""
    sample: str = ""
    """The tool's id of the sample; tells two alike questions of one log apart and nothing else."""
    options: tuple[str, ...] = ()
    """Texts of the options of a choice, A first; empty: none are known."""
    category: str | None = None
    """Group for breakdowns; None: the log has none."""
    parameters: tuple[tuple[str, str | int | float | bool], ...] = ()
    """How the model was asked (temperature, most tokens, ...) as far as the log says, sorted."""
    prompt: Prompt = ()
    """The messages as sent; empty: the log does not say."""
    reply: str | None = None
    """The model's last whole text; None: the log does not say."""
    cut: bool = False
    """True: the log says that the reply was cut off at its cap."""
    votes: int = 0
    """Of a setting derived from a log, the draws of each majority vote (`derived`); 0: an answer as it stands there."""


class Importer(Protocol):
    """Made without arguments."""

    def reads(self, path: Path) -> bool:
        """Whether this file, or folder, is of its kind; looks at its beginning and never raises for what is in it."""

    def answers(self, path: Path) -> Iterator[ImportedAnswer]:
        """Every answer, one at a time, in a fixed order. Raises UsageError, with file and row, for rubbish."""


IMPORTERS: Registry[type[Importer]] = Registry("importer")
importer = IMPORTERS.register


_OURS = ("inspect_logs", "lm_eval", "helm", "every_eval_ever", "promptfoo", "chats", "spreadsheets")
# What is looser comes last: an instance record of a community format has the columns of a table too.
_LAST = ("chat", "csv")


def load() -> None:
    """Register those that come along; they are imported when a file is to be read, and not before."""
    for module in _OURS:
        import_module(f"{__name__}.{module}")


def importer_for(path: Path) -> Importer:
    """The first importer, by name, that reads a path; loose formats come last. Raises UsageError where none does."""
    load()
    # By name: which of two wins must not hang on what was imported first.
    for name in sorted(IMPORTERS.names(), key=lambda each: (each in _LAST, each)):
        try:
            reader = IMPORTERS.get(name)()
            reads = reader.reads(path)
        except OSError:
            raise
        except Exception as error:
            # One of a plugin, which promised not to.
            broke = f"The importer {name!r} broke when it looked at {path.name!r}: {shortened(repr(error))}"
            raise UsageError(f"{broke}; mend it, or leave its plugin out.") from None
        if reads:
            return reader
    known = ", ".join(IMPORTERS.names()) or "none is registered"
    raise UsageError(f"{path.name!r} is no log that an importer reads ({known}){logs.why_unread(path) or '.'}")


def logs_in(path: Path) -> list[Path]:
    """The logs of a folder, whatever else lies in it; the path itself where it is one, or where there is none."""
    if not path.is_dir() or _reads(path):
        return [path]
    inside = sorted(each for each in path.iterdir() if not each.name.startswith(".") and not each.is_symlink())
    logs = [log for each in inside for log in (logs_in(each) if each.is_dir() else [each]) if _reads(log)]
    return logs or [path]


def _reads(path: Path) -> bool:
    try:
        importer_for(path)
    except UsageError:
        return False
    return True
