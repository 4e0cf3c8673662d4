"""Stored thoughts as rows to train on, in the form TRL reads: SFT rows, preference pairs, completions with rewards.

JSON lines of conversations (`prompt` and what follows it are lists of role and content), as `trl.SFTTrainer`,
`DPOTrainer` and reward functions take them. Beside the file stands a list of the questions that were used: what is
trained on them cannot be scored on them. Trains nothing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from engine.analysis.thinking.rewards import FORMULAS, Group, Scored, shortest_right, target_of
from engine.core import files, used_questions
from engine.core.errors import UsageError

Form = Literal["sft", "pairs", "rewards"]
FORMS: tuple[Form, ...] = ("sft", "pairs", "rewards")


@dataclass(frozen=True, slots=True)
class Export:
    """What would be written."""

    form: Form
    rows: tuple[dict[str, Any], ...]
    questions: tuple[str, ...]
    """Ids of the questions used."""
    chosen_tokens: float | None
    """Mean length of what is to be learned; None: nothing is."""
    mean_tokens: float | None
    """Mean length of all thoughts on the same questions."""


def export(every: Sequence[Group], form: Form, target: float | None = None) -> Export:
    """The rows of a form. sft: each question's shortest right thought. pairs: that one over the longest other one of
    the question, right or wrong. rewards: every thought, with a column `reward_<formula>` for each formula."""
    aim = target_of(every) if target is None else target
    rows: list[dict[str, Any]] = []
    used: list[Group] = []
    chosen: list[Scored] = []
    for group in every:
        best = shortest_right(group)
        if form == "rewards":
            columns = {f"reward_{name}": formula(group, aim) for name, (_, formula) in FORMULAS.items()}
            for at, thought in enumerate(group):
                rows.append(_row(thought, completion=thought) | {name: each[at] for name, each in columns.items()})
            used.append(group)
            chosen += group
        elif best is not None and form == "sft":
            rows.append(_row(best, completion=best))
            used.append(group)
            chosen.append(best)
        elif best is not None:
            # Of equal length there is nothing to prefer but being right.
            others = [t for t in group if not t.right or t.tokens > best.tokens]
            if others:
                worst = max(others, key=lambda t: (t.tokens, t.key))
                rows.append(_row(best, chosen=best, rejected=worst) | {"rejected_right": worst.right})
                used.append(group)
                chosen.append(best)
    lengths = [t.tokens for group in used for t in group]
    return Export(
        form,
        tuple(rows),
        tuple(sorted({group[0].question_id for group in used})),
        sum(t.tokens for t in chosen) / len(chosen) if chosen else None,
        sum(lengths) / len(lengths) if lengths else None,
    )


def write(made: Export, path: Path, **about: str) -> Path:
    """Write the rows and, beside them, which questions they use; returns the path of that list. Raises UsageError."""
    if not made.rows:
        raise UsageError("No question has a right thought, so there is nothing to train on.")
    used = used_questions.beside(path)
    try:
        used_questions.write(used, made.questions, **about, form=made.form)
        lines = "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in made.rows)
        files.replace(path, lines.encode("utf-8", "replace"))
    except OSError as error:
        raise UsageError(f"{path} cannot be written ({files.why(error)}).") from error
    return used


def _row(thought: Scored, **turns: Scored) -> dict[str, Any]:
    prompt = [{"role": turn.role, "content": turn.content} for turn in thought.prompt]
    said = {name: [{"role": "assistant", "content": each.text}] for name, each in turns.items()}
    lengths = {f"{name}_tokens": each.tokens for name, each in turns.items()}
    return {"prompt": prompt, **said, "question_id": thought.question_id, "right": thought.right, **lengths}
