"""Looks into thoughts as sentences and markup: a panel of numbers, and one thought cell by cell with the places where
it was stopped. Pure; every text of a model or a question is escaped, so nothing of theirs is read as markup.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from html import escape

from dashboard.text import strips, tables
from dashboard.text.transcript import visible
from engine.analysis.stats import Estimate
from engine.analysis.thinking.overthinking import Glance
from engine.analysis.thinking.thoughts import Excess, Inside
from engine.core import text as fmt
from engine.core.thoughts import Cut, Thought
from engine.core.tokens import Token
from engine.models.tokens.call_tokens import scaled

LONGEST = 90
"""Letters of a question, and of an answer a third."""
MARKS = {"right": ("right", "✓"), "partly": ("muted", "◐"), "wrong": ("wrong", "✕"), "none": ("muted", "–")}
"""By verdict the class of its ink and its sign."""
STYLE = """<style>
.th-share { display: flex; height: 14px; margin: 6px 0 8px; border-radius: 2px; overflow: hidden; }
.th-text { max-height: 330px; overflow-y: auto; margin-top: 8px; }
.th-places { display: flex; flex-wrap: wrap; gap: 3px 10px; font-size: 13px; margin: 6px 0; }
.th-places span { white-space: nowrap; }
.tk i.th-at { color: var(--bs-background); font-weight: 650; background: var(--bs-right); }
.tk i.th-at.th-off { background: var(--bs-warning); }
</style>"""


def source_line(inside: Inside, model: str) -> str:
    """Where the numbers of the figure come from: the line under the heading."""
    n = f"{fmt.plural(len(inside.thoughts), 'thought')} on {fmt.plural(inside.n_questions, 'question')}"
    # One question has no interval, and so no band.
    rest = f"{n}, {model}{', band 95%' if inside.n_questions > 1 else ''}."
    if inside.source == "text":
        return f"Estimated from the text alone: each stored thought is read again from its first k tokens. {rest}"
    how = "goes on with its answer" if inside.how == "continued" else "is told to answer"
    return f"Each stored thought is stopped after k tokens and the model {how} at once. {rest}"


def panel(inside: Inside) -> str:
    """The panel beside the figure: the share after the answer, and what stopping changes."""
    excess, probes, share_of = inside.excess, inside.source == "probes", _share(inside.n_questions)
    share = excess.redundant.mean
    what = "the final answer was settled" if probes else "the final answer had first appeared"
    lines = [
        ("Mean thought", _tokens(inside.mean_tokens.mean), _ends(inside.mean_tokens, _whole)),
    ]
    if inside.reached is not None:
        first = "First reached, median" if probes else "First appears, median"
        lines.append((first, _tokens(inside.reached), ""))
    if probes and inside.settled is not None:
        lines.append(("Settled, median", _tokens(inside.settled), ""))
    lines.append(("First right", *_first_right(excess)))
    if (stop := inside.stop) is not None:
        mean = inside.mean_tokens.mean or 0.0
        # Of what thoughts spend on average: short ones are not stopped by a place behind their end.
        less = f"{fmt.MINUS}{share_of(1 - stop.spent_tokens / mean)}" if mean else ""
        lines.append((f"Stopped after {fmt.count(stop.tokens)}", _tokens(stop.spent_tokens), less))
        points = partial(fmt.points, n=excess.n_questions)
        lines.append(("Right answers", points(stop.change.mean or 0.0), _ends(stop.change, points)))
    away = share_of(excess.thought_away.mean)
    lines.append(("Had it right, then lost it", away, _ends(excess.thought_away, share_of)))
    lines.append(("Lost again, per thought", _times(excess.flips.mean), _ends(excess.flips, _times)))
    big = '<div class="bs-muted">Unknown: no thought here comes to an answer.</div>'
    if share is not None:
        big = (
            f'<div class="bs-big"><b>{escape(share_of(share))}</b><div class="bs-muted">of all tokens were written '
            f"after {what} {escape(_ends(excess.redundant, share_of))}</div></div>"
            f'<div class="th-share"><i class="tk-user" style="flex:{1 - share:.4f}"></i>'
            f'<i class="tk-system" style="flex:{share:.4f}"></i></div>'
        )
    return '<h2 class="bs-title">Tokens after the answer</h2>' + big + "".join(line(*each) for each in lines)


def overthinking(glance: Glance) -> str:
    """A setting at a glance, and by how difficult its questions are."""
    excess, share_of = glance.excess, _share(glance.excess.n_questions)
    about = "" if glance.source == "probes" else ", estimated from the text"
    if glance.older:
        about += " (its looks were read by an older version)"
    share = "no answer" if excess.redundant.mean is None else share_of(excess.redundant.mean)
    after = line("Tokens after the answer", share, _ends(excess.redundant, share_of))
    lines = [
        ("First right after", *_first_right(excess)),
        ("Lost again, per thought", _times(excess.flips.mean), _ends(excess.flips, _times)),
    ]
    rows = "".join(
        f"<tr><td>{escape(band.name)}</td>{''.join(f'<td>{escape(said)}</td>' for said in _band(band.excess))}</tr>"
        for band in glance.bands
    )
    head = "<tr><th>questions</th><th>after</th><th>right at</th><th>lost</th><th>n</th></tr>"
    # A single band is the whole again.
    table = f'<table class="bs-bands">{head}{rows}</table>' if len(glance.bands) > 1 else ""
    n = f"{fmt.plural(excess.n_thoughts, 'thought')} on {fmt.plural(excess.n_questions, 'question')}{about}"
    # Folded, so that the panel is no longer than the figure beside it.
    return (
        f'<details class="bs-past"><summary>{after}</summary>{"".join(line(*each) for each in lines)}{table}'
        f'<div class="bs-muted bs-small">{escape(n)}</div></details>'
    )


def one(thought: Thought, source: str, question: str, cells: Sequence[Token]) -> str:
    """One thought cell by cell: until its final answer was first there, until it was settled, and the rest."""
    final = thought.final
    reached = thought.stated if source == "text" else thought.first_reached
    settled = reached if source == "text" else thought.settled
    first, last = (None if at is None else scaled(at, thought.n_tokens, len(cells)) for at in (reached, settled))
    if source == "text" and reached is not None and final.answer is not None:
        # Where it stands among these very cells, which may be another tokenizer's than those that were counted.
        first = last = Cut([token.raw for token in cells]).states(final.answer, thought.kind)
    verdict = {"right": "right", "partly": "partly right", "wrong": "wrong", "none": "no answer"}[final.verdict]
    said = "" if final.answer is None else f" · said {visible(final.answer, LONGEST // 3)}"
    head = (
        f'<h2 class="bs-title">One thought, {fmt.plural(thought.n_tokens, "token")}</h2>'
        f'<div class="bs-muted bs-small">{escape(tables.short_question(visible(question, 400), LONGEST))}'
        f"{escape(said)}, {verdict}</div>"
    )
    return (
        head
        + _strip(first, last, cells, right=final.verdict == "right")
        + "".join(_words(thought, source, reached, settled))
    )


def _strip(first: int | None, last: int | None, cells: Sequence[Token], *, right: bool) -> str:
    """`first` and `last`: cells until the answer was first there, and until it was settled."""
    drawn = []
    # A bound: ten thousand cells make a browser crawl.
    for at, token in enumerate(cells[: strips.MOST]):
        text = escape(strips.cell_text(token))
        # The cell in which the answer is complete.
        if first is not None and at == max(0, first - 1):
            off = "" if right else " th-off"
            drawn.append(f'<i class="th-at{off}">{text}</i>')
        else:
            part = "user" if first is None or at < first else "example" if last is not None and at < last else "system"
            drawn.append(f'<i class="tk-{part}">{text}</i>')
    # A long one scrolls, which keys can do only where they can go.
    words = "<wbr>".join(drawn)
    return f'<div class="tk th-text" tabindex="0" role="region" aria-label="The thought in tokens">{words}</div>'


def _words(thought: Thought, source: str, reached: int | None, settled: int | None) -> Iterator[str]:
    if reached is None:
        yield '<div class="bs-muted bs-small">Its final answer stands nowhere in it, or it has none.</div>'
    elif source == "text":
        rest = thought.n_tokens - reached
        yield (
            f'<div class="bs-muted bs-small">The answer first stands in it after {fmt.plural(reached, "token")}; '
            f"{fmt.count(rest)} follow.</div>"
        )
    elif settled is not None:
        yield (
            f'<div class="bs-muted bs-small">First reached after {fmt.plural(reached, "token")}, settled after '
            f"{fmt.count(settled)}; {fmt.count(thought.n_tokens - settled)} are redundant.</div>"
        )
    marks = []
    for place in thought.places:
        ink, sign = MARKS[place.verdict]
        said = "no answer" if place.answer is None else visible(place.answer, LONGEST // 3)
        marks.append(f'<span>{fmt.count(place.tokens)} <b class="bs-{ink}">{sign}</b> {escape(said)}</span>')
    # Never the same words for what was asked and what was only read.
    how = "What the text says by then" if source == "text" else "What it answers when it is stopped there"
    yield f'<h3 class="bs-sub">{how}</h3><div class="th-places">{"".join(marks)}</div>'


def key(source: str) -> str:
    """What the colours of the cells mean."""
    words: Mapping[str, str] = {"user": "until the answer is first there", "system": "after it"}
    if source == "probes":
        words = {"user": "until first reached", "example": "until settled", "system": "redundant"}
    keys = "".join(f'<span><i class="tk-{part}"></i>{name}</span>' for part, name in words.items())
    return f'<div class="tk-key">{keys}</div>'


def line(what: str, value: str, aside: str, *, strong: bool = True) -> str:
    """A line of a panel: what, how much, and an aside in grey."""
    muted = f' <span class="bs-muted">{escape(aside)}</span>' if aside else ""
    said = f"<b>{escape(value)}</b>" if strong else escape(value)
    return f'<div class="bs-line"><span>{escape(what)}</span><span>{said}{muted}</span></div>'


def _ends(estimate: Estimate, form: Callable[[float | None], str]) -> str:
    return "" if estimate.low is None else fmt.interval(estimate.low, estimate.high, form)


def _share(n: int) -> Callable[[float | None], str]:
    return lambda share: fmt.accuracy(share, n)


def _band(excess: Excess) -> tuple[str, ...]:
    """The three numbers of the questions of one difficulty, and how many these are."""
    return (
        fmt.accuracy(excess.redundant.mean, excess.n_questions),
        _whole(excess.first_right.mean) if excess.n_right else "–",
        _times(excess.flips.mean),
        fmt.count(excess.n_questions),
    )


def _first_right(excess: Excess) -> tuple[str, str]:
    """Tokens to the first right answer with their interval; never: no thought is right anywhere."""
    if not excess.n_right:
        return "never", f"of {fmt.plural(excess.n_thoughts, 'thought')}"
    return _tokens(excess.first_right.mean), _ends(excess.first_right, _whole)


def _times(value: float | None) -> str:
    """How often, on average: two digits are all that some dozens of questions know."""
    return fmt.number(None if value is None else round(value, 2))


def _tokens(value: float | None) -> str:
    return fmt.quantity(None if value is None else round(value), "tokens")


def _whole(value: float | None) -> str:
    return fmt.UNKNOWN if value is None else fmt.count(round(value))
