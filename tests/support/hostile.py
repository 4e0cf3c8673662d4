"""Strings that are out to break a page, a database full of them, and a walk through every page in a real browser."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import engine
from dashboard.data import frozen, queries
from dashboard.data.frozen import Frozen
from dashboard.figures import Handles
from engine.core import ids
from engine.core.errors import BudgetscopeError
from engine.core.records import ModelSetting
from engine.interop import importing
from engine.runs import run_dir, worker
from engine.runs.run_dir import Status
from engine.store.identity import fingerprint
from engine.store.store import Batch, Store
from engine.study.schema import parse
from tests.browser.conftest import drawn_anew, lead
from tests.browser.stage import Stage
from tests.support import doors, foreign_logs, stores

AWAY = "198.51.100.7"
"""Nobody's address: whatever asks it, or leads there, was made by one of the strings."""
_SCRIPTS = ("window.broken=1", "alert(1)")
_SHAPES = (
    "<script>{}</script>",
    "</script><script>{}</script>",
    "<img src=x onerror={}>",
    "<svg onload={}>",
    "<svg><script>{}</script></svg>",
    "<details open ontoggle={}>",
    "<iframe srcdoc='<script>parent.{}</script>'></iframe>",
    "<body onload={}>",
    "<input autofocus onfocus={}>",
    "<a href='javascript:{}'>go</a>",
    "[go](javascript:{})",
    "'\"><script>{}</script>",
    "${{{}}}",
    "{{{{constructor.constructor('{}')()}}}}",
    "<math><mtext><script>{}</script></mtext></math>",
    '"onmouseover={} x="',
    "<style onload={}></style>",
    "<video><source onerror={}></video>",
    "&lt;script&gt;{}&lt;/script&gt;",
    "<scr<script>ipt>{}</scr</script>ipt>",
)
_ADDRESSES = (f"http://{AWAY}/x", f"https://{AWAY}/x", f"//{AWAY}/x", f"www.{AWAY}.example/x", f"a@{AWAY}.example")
_LINKS = (
    "{}",
    "[click]({})",
    "![pixel]({})",
    "<{}>",
    "<a href='{}'>go</a>",
    "<img src='{}'>",
    "<link rel=stylesheet href='{}'>",
    "<style>@import '{}';</style>",
    "<meta http-equiv=refresh content='0;url={}'>",
    "[a]: {}\n[a]",
    ":material/home: :red[{}]",
    "<form action='{}'><button>go</button></form>",
)
_OTHERS = (
    "$\\href{http://198.51.100.7}{x}$",
    "\\u003cscript\\u003ewindow.broken=1",
    "\u202e\u2066 rtl",
    "\x00\x07",
    "{{7*7}}",
    "%3Cscript%3E",
    "a" * 3_000,
    "# head\n- item\n> quote",
    "`code` ~~x~~ | a | b |",
    '=HYPERLINK("http://198.51.100.7")',
)
STRINGS: tuple[str, ...] = (
    *(shape.format(script) for shape in _SHAPES for script in _SCRIPTS),
    *(link.format(address) for link in _LINKS for address in _ADDRESSES),
    *_OTHERS,
)
PER_DATABASE = 12
"""Strings of one database: each names a setting, and a figure shows so many."""
STUDY = 'name = {}\nbudgets = [64]\nmodels = ["scripted/adder"]\ntasks = ["gym:chain_sum"]\nstrategies = ["direct"]\n'


@dataclass
class Walked:
    """What came of it."""

    strings: int = 0
    loads: int = 0
    """Pages opened."""
    shown: int = 0
    """Times a string was looked for on a page: strings of a database times its pages."""
    executed: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)
    """Requests to anybody but the dashboard."""
    live: list[str] = field(default_factory=list)
    """Links, forms and frames of a page that lead anywhere else, or run something."""
    broken: list[str] = field(default_factory=list)
    """Pages that ended in an error of ours."""


def database(path: Path, strings: Sequence[str]) -> Path:
    """Each string names a model, is asked, wanted, answered and replied; together they name task, study and run."""
    stores.studied(path, questions=2, models='"scripted/adder"', strategies=["direct"], budgets=[64])
    store = Store(path)
    [condition] = engine.open(path).conditions()["condition_id"]
    trials = store.trials(condition)
    for at, text in enumerate(strings):
        task, batch, replies = strings[0], [], []
        setting = ModelSetting(f"scripted/{text}", f"scripted/{text}@{at}")
        own = replace(trials[0].spec.condition, task=task, lineup=(("solver", setting),))
        own = replace(own, condition_id=ids.condition_id(own))
        for n, trial in enumerate(trials):
            problem = replace(trial.spec.question.problem, text=f"{text} {n}")
            question = replace(trial.spec.question, question_id=f"q1-{at}-{n}", task=task, problem=problem, target=text)
            question = replace(question, category=text)
            spec = replace(trial.spec, trial_id=f"t1-{at}-{n}", condition=own, question=question)
            made = store.completions([call.key for call in trial.calls])
            calls = []
            for call in trial.calls:
                key = f"{call.key.partition('@')[0]}-{at}@hostile"
                replies.append(replace(made[call.key], key=key, text=text))
                calls.append(replace(call, key=key, model=setting.identity, messages=_said(call.messages, text)))
            spends = tuple(replace(spend, model=setting.identity) for spend in trial.spends)
            marks = tuple(
                replace(m, answer=text, spends=tuple(replace(s, model=setting.identity) for s in m.spends))
                for m in trial.marks
            )
            batch.append(
                replace(trial, spec=spec, run_id="hostile", answer=text, calls=tuple(calls), marks=marks, spends=spends)
            )
        store.flush(Batch(trials=tuple(batch), completions=tuple(replies), run_id="hostile"))
    row = store.runs()[0]
    study = {**json.loads(row.study), "name": strings[1 % len(strings)], "planned_questions": {strings[0]: 2}}
    store.save_run(replace(row, run_id="hostile", study=json.dumps(study), error=strings[2 % len(strings)]))
    for text in strings[:3]:
        run = worker.prepare(parse(STUDY.format(json.dumps(text.replace("\x00", " ").replace("\x07", " "))), "s"), path)
        run_dir.write(run, Status(run.run_id, text, "failed", False, None, 1, 2, message=text, reasons={text: 2}))
        run.log.write_text(text, encoding="utf-8", errors="replace")
    return path


def _said(messages: Any, text: str) -> Any:
    return tuple(replace(message, content=text) for message in messages)


def in_thread(make: Any, *arguments: Any) -> Any:
    """What it returns; an event loop of its own, as the browser's driver has one here."""
    with ThreadPoolExecutor(1) as other:
        return other.submit(make, *arguments).result()


LIVE = """() => [...document.querySelectorAll(
    '[data-testid=stMain] a[href], [data-testid=stMain] form[action], [data-testid=stMain] iframe, ' +
    '[data-testid=stMain] img[src], [data-testid=stMain] script, [data-testid=stMain] object, [data-testid=stMain] embed')]
    .map(each => each.href || each.action || each.src || each.srcdoc || each.tagName)
    .map(String)"""
LIVE_IN_A_FILE = """() => [...document.querySelectorAll(
    'a[href], form[action], iframe, img[src], object, embed, link[href], script[src], meta[http-equiv=refresh]')]
    .map(each => each.href || each.action || each.src || each.srcdoc || each.content || each.tagName).map(String)"""
"""In a saved page, which brings scripts of its own."""
BROKEN = "() => { const said = window.broken; delete window.broken; return said; }"
"""What a string that ran has left; it is taken away, so that each visit tells of its own."""
WORDS = ("study", "task", "model", "condition", "trial", "run", "cell", "x", "a", "b", "find", "question", "id")


@dataclass(frozen=True, slots=True)
class Visit:
    """One page to be opened, and what is typed there."""

    where: str
    """As reports call it."""
    path: str
    """Of the dashboard; a saved page's own address."""
    typed: tuple[str, ...] = ()
    """Texts that go into the page's first field, one after another."""


def visits(
    db: Path, strings: Sequence[str], transcripts: int = PER_DATABASE, plain: Sequence[str] | None = None
) -> list[Visit]:
    """All ways to see a hostile database: every page that brings text, as it is (None: all, else those of `plain`) and
    by a link full of strings, answers and their tokens one by one, what is typed, snapshots and saved pages. Makes the
    latter two."""
    asked = "&".join(f"{word}={quote(text)}" for word, text in zip(WORDS, itertools.cycle(strings), strict=False))
    pages = doors.doors("page", "text")
    found = [
        Visit(f"{page.name}{' by a link' if query else ''}", f"/{page.path}{query}")
        for page in pages
        for query in ("", f"?{asked[:6_000]}")
        if query or plain is None or page.name in plain
    ]
    answers = [f"t1-{at}-0" for at in range(len(strings))][:transcripts]
    found += [Visit("an answer", f"/answers?trial={trial}") for trial in answers]
    found += [Visit("tokens of an answer", f"/tokens?source=stored&trial={trial}") for trial in answers[:2]]
    found.append(Visit("tokens of a text", "/tokens", tuple(strings)))
    found.append(Visit("tokens of a study", "/tokens?show=study"))
    shown = queries.Database(str(db), fingerprint(db))
    for study in (each for each in queries.study_choices(shown) if each in strings):
        words = f"study={quote(study)}"
        found += [Visit(f"{page} of a study", f"/{page}?{words}") for page in ("", "answers", "compare", "budgets")]
        try:
            view = frozen_view(shown, study)
        except BudgetscopeError:
            # Nothing of it can be drawn, and so not frozen.
            continue
        found.append(Visit("a snapshot", f"/snapshot?id={frozen.freeze(shown, view)}"))
        saved = db.with_name(f"saved{len(found)}.html")
        saved.write_text(frozen.as_page(view, ""), encoding="utf-8", errors="replace")
        found.append(Visit("a saved page", saved.as_uri()))
    return found


def frozen_view(db: queries.Database, study: str, task: str = "", **handles: float) -> Frozen:
    """What Explore shows of a task of a study, of its first one unless told."""
    cells = queries.cells(db, study=study)
    task = task or queries.tasks(cells)[0]
    ids = tuple(sorted(set(cells.filter(task=task)["condition_id"])))
    selection = queries.Selection("output_tokens", task, "staircase", None, ids, study=study)
    return frozen.of(db, selection, Handles(**handles), None, {"task": [task]})


def logged(db: Path, strings: Sequence[str]) -> Path:
    """Another tool's log whose every text is a string, brought into a database."""
    path = foreign_logs.inspect_json(db.parent, model=strings[0], task=strings[1 % len(strings)])
    log = json.loads(path.read_text(encoding="utf-8"))
    for text, sample in zip(itertools.cycle(strings), log["samples"], strict=False):
        [(_, usage), *_] = sample["model_usage"].items()
        sample["input"] = f"{text} {sample['id']}"
        sample["attachments"] = {"a1": text}
        sample["target"], sample["model_usage"] = text, {strings[0]: usage}
        sample["messages"] = [{"role": "user", "content": text}, {"role": "assistant", "content": text}]
        sample["output"] = {"choices": [{"message": {"role": "assistant", "content": text}}]}
        sample["scores"] = {"match": {"value": "I", "answer": text, "explanation": text}}
    path.write_text(json.dumps(log), encoding="utf-8")
    importing.bring_in(Store(db), importing.survey(Store(db), path, strings[2 % len(strings)]))
    return path


def walk(stage: Stage, strings: Sequence[str], walked: Walked, seen: Sequence[Visit]) -> None:
    """Make every visit, and note what ran, went out or led away.

    The dashboard is loaded once, and then led to each address as by Back and Forward: what it draws is the same, at a
    third of the cost, and all parts of it are there to draw with."""
    requests: list[str] = []
    page = stage.open_watched(seen[0].path, requests)
    page.wait_for_selector(QUIET)
    for visit in seen:
        walked.loads += 1
        walked.shown += len(strings)
        if visit.path.startswith("file:"):
            _saved(stage, visit, walked)
            continue
        lead(page, visit.path)
        for text in visit.typed:
            _looked(page, visit, stage, walked)
            field = page.locator("textarea").first
            field.fill(text)
            drawn_anew(page, partial(field.press, "Control+Enter"))
        _looked(page, visit, stage, walked)
        walked.outside += [f"{visit.where}: {url[:200]}" for url in requests if not _is_own(url, stage.host)]
        requests.clear()
    stage.close(page)
    walked.executed += [each for each in stage.wrong if "dialog" in each]
    walked.broken += [each for each in stage.wrong if "dialog" not in each]
    stage.wrong.clear()
    walked.strings += len(strings)


QUIET = "[data-testid=stApp][data-test-script-state=notRunning]"


def _looked(page: Any, visit: Visit, stage: Stage, walked: Walked) -> None:
    if page.evaluate(BROKEN) is not None:
        walked.executed.append(visit.where)
    walked.live += [f"{visit.where}: {href[:200]}" for href in page.evaluate(LIVE) if not _is_own(href, stage.host)]
    walked.broken += [f"{visit.where}: {each}" for each in page.get_by_test_id("stException").all_inner_texts()]


def _saved(stage: Stage, visit: Visit, walked: Walked) -> None:
    """A saved page, from the disk; its own policy blocks what a string would load, which is no request."""
    requests: list[str] = []
    context = stage.browser.new_context()
    page = context.new_page()
    page.on("request", lambda request: requests.append(request.url))

    def noticed(dialog: Any) -> None:
        walked.executed.append(visit.where)
        dialog.dismiss()

    page.on("dialog", noticed)
    page.goto(visit.path)
    page.locator("h1").first.wait_for()
    for fold in page.locator("details").all():
        fold.evaluate("each => { each.open = true }")
    if page.evaluate(BROKEN) is not None:
        walked.executed.append(visit.where)
    walked.live += [f"{visit.where}: {url[:200]}" for url in page.evaluate(LIVE_IN_A_FILE) if not _is_own(url, "")]
    walked.outside += [f"{visit.where}: {url[:200]}" for url in requests if url != visit.path and not _is_own(url, "")]
    context.close()


def _is_own(url: str, own: str) -> bool:
    at = urlsplit(url)
    return at.scheme in ("data", "blob", "about") or (at.scheme in ("http", "https", "ws", "wss") and at.netloc == own)
