"""share: a study's finding as one page that works offline, or as Markdown; the dashboard's own code writes it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click

from engine.cli import options, show
from engine.cli.options import Verb, among, option
from engine.core.errors import UnknownName

FORMS = ("html", "md")


@click.command(cls=Verb)
@options.study
@options.task("the task (default: the one with most settings)")
@option("--x", default="output_tokens", help="what accuracy is weighed against (output_tokens)")
@option("--most", type=float, help="accept settings that spend at most this, in the unit of the figure's axis")
@option("--least", type=float, help="accept settings that reach at least this accuracy, in percent")
@option("--format", "form", default="html", shell_complete=among(FORMS), help="html or md (html)")
@option("--link", default="", metavar="URL", help="address of a dashboard that shows the same database")
@option("--out", type=Path, required=True, metavar="FILE", help="the file to write")
def share(
    db: Path,
    study: str | None,
    task: str | None,
    x: str,
    most: float | None,
    least: float | None,
    form: str,
    link: str,
    out: Path,
) -> int:
    """Write what Explore shows of a task to one file."""
    if form not in FORMS:
        raise UnknownName("form of a page", form, FORMS)
    target = options.replaceable(options.existing(db), out)
    # A process of its own: the engine draws nothing and knows no figures.
    command = [sys.executable, "-m", "dashboard.report", "--db", str(db), "--out", str(target), "--x", x]
    wishes = {"--study": study, "--task": task, "--most": most, "--least": least, "--format": form, "--link": link}
    for name, value in wishes.items():
        if value not in (None, ""):
            command += [name, str(value)]
    done = subprocess.run(command, check=False)
    if done.returncode == 0:
        show.say(f"Written to {out}.")
    return done.returncode
