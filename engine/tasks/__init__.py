"""What is asked: how a name becomes a task. Generators and files stand behind a colon, public benchmarks and users' own
tasks go by their bare name."""

from __future__ import annotations

from engine.core.errors import UnknownName
from engine.tasks.scorers import Scorer, scorer
from engine.tasks.task import TASKS, Task, TaskSpec, registered, task

__all__ = ["FAMILIES", "Scorer", "Task", "TaskSpec", "open_task", "scorer", "task", "task_names"]

FAMILIES = ("gym", "file")
"""What may stand before the colon of a task name."""


def open_task(spec: TaskSpec) -> Task:
    """The task a spec names; a file is not read before its questions are asked for.

    Raises UnknownName for a family, generator or level that does not exist, UsageError for counts out of range."""
    family, _, rest = spec.name.partition(":")
    # Imported where they are used: a study of one family need not load the other.
    if family == "file" and rest:
        from engine.tasks.files import FileTask

        return FileTask(spec)
    if family == "gym" and rest:
        from engine.tasks.gym import GymTask

        return GymTask(spec)
    if spec.name in TASKS:
        return registered(spec)
    from engine.tasks import named

    if named.known(spec.name):
        return named.NamedTask(spec)
    raise UnknownName("task", spec.name, (*task_names(), "file:<path>"))


def task_names() -> tuple[str, ...]:
    """Every task that can be named without a file: 'gym:chain_sum', ..., benchmarks, and those of plugins; cheap."""
    from engine.tasks import named
    from engine.tasks.gym import known_generators

    own = [name for name in named.names() if name not in TASKS]
    return (*(f"gym:{name}" for name in known_generators()), *own, *TASKS.names())
