"""What is asked: how a name becomes a task; the registry of task families."""

from __future__ import annotations

from engine.core.errors import UnknownName
from engine.tasks.task import Task, TaskSpec

__all__ = ["FAMILIES", "Task", "TaskSpec", "open_task", "task_names"]

FAMILIES = ("gym", "file")
"""What may stand before the colon of a task name."""


def open_task(spec: TaskSpec) -> Task:
    """The task a spec names; a file is not read before its questions are asked for.

    Raises UnknownName for a family, generator or level that does not exist, UsageError for counts out of range."""
    family, _, rest = spec.name.partition(":")
    if family not in FAMILIES or not rest:
        raise UnknownName("task", spec.name, (*task_names(), "file:<path>"))
    if family == "file":
        from engine.tasks.files import FileTask

        return FileTask(spec)
    from engine.tasks.gym import GymTask

    return GymTask(spec)


def task_names() -> tuple[str, ...]:
    """Every task that can be named without a file, sorted: 'gym:chain_sum', ...; cheap."""
    from engine.tasks.gym import known_generators

    return tuple(f"gym:{name}" for name in known_generators())
