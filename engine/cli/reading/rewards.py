"""rewards: what published length rewards would make of a setting's stored thoughts; rows to train on."""

from __future__ import annotations

from pathlib import Path

import click

import engine
from engine.cli import options, show
from engine.cli.options import Verb, option
from engine.core import names, text
from engine.core.errors import UnknownName, UsageError

_FORMS = ("sft", "pairs", "rewards")


@click.command(cls=Verb)
@click.argument(
    "setting", metavar="SETTING", help="name, label or beginning of an id; one that thinks several times a question"
)
@option("--target", type=options.count, metavar="TOKENS", help="length L1's formulas aim at (median of right thoughts)")
@option(
    "--out", type=Path, metavar="FILE.jsonl", help="write rows to train on, and beside them which questions they use"
)
@option("--form", metavar="FORM", shell_complete=options.among(_FORMS), help="of --out: sft, pairs or rewards")
@options.study
@options.task("the task, where a label is on several")
@options.as_json
def rewards(
    db: Path,
    setting: str,
    target: int | None,
    out: Path | None,
    form: str | None,
    study: str | None,
    task: str | None,
    as_json: bool,
) -> None:
    """The lens; with --out, the counts and what they would save, and then the file."""
    from engine.analysis.thinking import rewards as lenses

    if form is not None and form not in _FORMS:
        raise UnknownName("form", form, _FORMS)
    if (out is None) != (form is None):
        raise UsageError("--out and --form go together: a file, and sft, pairs or rewards to be written to it.")
    results = engine.open(options.existing(db))
    if out is not None:
        options.replaceable(db, out)
    row = options.condition(results, setting, task, study)
    try:
        groups = lenses.groups(results.chains(row["condition_id"], study))
    except LookupError as error:
        raise UsageError(f"Nobody here knows the task {error}, so its thoughts cannot be judged.") from None
    if not groups:
        raise UsageError("This setting has no stored thought whose text is visible, so there is nothing to reward.")
    aim = None if target is None else float(target)
    frame = lenses.lens(groups, aim)
    if as_json:
        show.emit(frame.to_dicts())
    else:
        show.say(f"{names.over([row])(row)} on {names.task(row['task'])}")
        rows = [
            (
                each["formula"],
                *(show.percent(each[name]) for name in ("lifted_right", "lifted_wrong")),
                *(show.number(each[name]) for name in ("lifted_tokens", "pressed_tokens", "best_tokens")),
                show.percent(each["best_accuracy"]),
                each["source"],
            )
            for each in frame.iter_rows(named=True)
        ]
        head = ("reward", "lifts of right", "of wrong", "tokens lifted", "pressed", "best", "best right", "")
        show.table(head, rows, numeric=range(1, 7))
        one = frame.row(0, named=True)
        show.say(
            f"{text.plural(one['n_thoughts'], 'thought')} on {text.plural(one['n_questions'], 'question')}: "
            f"{show.percent(one['accuracy'])} right in {show.number(one['mean_tokens'])} tokens on average. "
            "Lifted: above the mean reward of its question; best: the thought a formula likes best of each question."
        )
    if out is not None and form is not None:
        from engine.interop import training

        made = training.export(groups, next(each for each in training.FORMS if each == form), aim)
        saved = f", {show.number(made.chosen_tokens)} tokens each for {show.number(made.mean_tokens)} on average"
        show.tell(
            f"{text.plural(len(made.rows), 'row')} of {text.plural(len(made.questions), 'question')}"
            f"{saved if made.rows else ''}."
        )
        used = training.write(made, out, setting=str(row["label"]), task=str(row["task"]))
        show.tell(f"Written to {out}; {used.name} names the questions: score what is trained on them on others.")
