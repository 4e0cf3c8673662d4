"""Tokens as cells: their markup, colours and legend. Pure; every text in it is escaped, so nothing of a model's or a
user's is ever read as markup, and characters that would steer a screen are spelled out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from html import escape

from dashboard.text.transcript import visible
from engine.core import text as fmt
from engine.core.tokens import Token
from engine.models.tokens.call_tokens import Cell, Strip

NAMES = {
    "system": "system and template",
    "user": "user",
    "example": "worked examples",
    "earlier": "earlier replies, fed back",
    "answer": "answer",
    "hidden": "hidden reasoning",
}
"""What the parts of a call are called."""
GROUNDS = {  # Ground of a cell by its part, light and dark.
    "system": ("#dfe3ea", "#333a46"),
    "user": ("#cfe6fb", "#173c5c"),
    "example": ("#fbe8b8", "#51431a"),
    "earlier": ("#fbd9d3", "#56302a"),
    "answer": ("#e4d5f7", "#43305f"),
    "hidden": ("#d2ecd9", "#1f4a30"),
}
TURNS = ("user", "answer", "example", "hidden")
"""Grounds that neighbouring tokens take in turn where no part tells them apart."""
MOST = 20_000
"""Cells that are drawn of one text."""
FOLD = 600
"""Cells of a prompt or a reply from which on it is folded away."""
_WHITE = str.maketrans({"\n": "↵", "\t": "→", "\r": "␍"})

__all__ = [
    "FOLD",
    "GROUNDS",
    "MOST",
    "NAMES",
    "TURNS",
    "cell_text",
    "cells",
    "legend",
    "reply",
    "style",
    "turned",
]


def style(dark: bool) -> str:
    """The style sheet of cells in one theme."""
    grounds = "".join(f".tk-{part} {{ background-color: {pair[dark]}; }}\n" for part, pair in GROUNDS.items())
    return f"""<style>
.tk {{ font: 14px/25px "Source Code Pro", "Source Code", monospace; overflow-wrap: anywhere; color: var(--bs-text); }}
.tk i {{
  font-style: normal; white-space: pre-wrap; border-radius: 3px; padding: 2px 0; margin-right: 1px;
  unicode-bidi: isolate; box-decoration-break: clone; -webkit-box-decoration-break: clone;
}}
{grounds}i.tk-c {{
  background-image: repeating-linear-gradient(135deg, rgba(128,128,128,.26) 0 2px, transparent 2px 6px);
}}
.tk i.tk-o {{ background: none; box-shadow: inset 0 0 0 1px var(--bs-axis); color: var(--bs-muted); }}
.tk i.tk-s {{ font-weight: 500; box-shadow: inset 0 -2px 0 var(--bs-edge); }}
.tk i.tk-b {{ font-size: 12px; box-shadow: inset 0 0 0 1px var(--bs-edge); }}
.tk-block {{ padding: 3px 9px; border-radius: 4px; font-size: 13px; color: var(--bs-text); }}
.tk-cut {{
  display: inline-block; margin: 0 4px; padding: 0 9px; border-radius: 2px 4px 4px 2px; background: var(--bs-cut);
  color: var(--bs-background); font: 650 13px/21px "Source Sans", sans-serif;
}}
.tk-key {{
  display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; margin: 10px 0; font-size: 13px; color: var(--bs-muted);
}}
.tk-key i {{ display: inline-block; width: 18px; height: 11px; border-radius: 3px; margin-right: 6px; }}
</style>"""


def cell_text(token: Token) -> str:
    """A token as it is written in its cell: line ends and tabs as signs, bytes and what steers a screen spelled out."""
    return visible(token.text, 400).translate(_WHITE) or "∅"


def cells(shown: Sequence[Cell]) -> str:
    """Cells of a prompt or a reply by their parts, at most `MOST` of them."""
    return _joined((_cell(each.token, each.part, each.cached, each.inside) for each in shown[:MOST]), len(shown))


def turned(tokens: Sequence[Token], first: int, total: int) -> str:
    """Cells of a text in turning colours, from token number `first` of `total` on."""
    drawn = (_cell(token, TURNS[(first + n) % len(TURNS)]) for n, token in enumerate(tokens[:MOST]))
    return _joined(drawn, total - first)


def reply(strip: Strip, budget: str) -> str:
    """The reply of a call: hidden reasoning as a block of its size, then the cells with the line where the `budget`
    cuts; the words say when the place is only about right."""
    parts = []
    if strip.hidden_tokens:
        # As wide as its share of all output, so that a long thought looks long.
        share = strip.hidden_tokens / (strip.hidden_tokens + len(strip.reply))
        words = f"{fmt.count(strip.hidden_tokens)} hidden reasoning tokens, which no text tells"
        parts.append(f'<div class="tk-block tk-hidden" style="width:{max(30, 100 * share):.0f}%">{words}</div>')
    if strip.cut is None:
        parts.append(cells(strip.reply))
        return "".join(parts)
    about = "" if strip.reply_exact else "about here: "
    inside_hidden = strip.hidden_inside_tokens < strip.hidden_tokens
    chip = f'<span class="tk-cut">{escape(about)}budget reached: {escape(budget)}</span>'
    if inside_hidden:
        chip = (
            f'<span class="tk-cut">budget reached: {escape(budget)}, after '
            f"{fmt.count(strip.hidden_inside_tokens)} of {fmt.count(strip.hidden_tokens)} hidden tokens</span>"
        )
    before, after = strip.reply[: strip.cut], strip.reply[strip.cut :]
    parts.append(f'<div class="tk">{_bare(before)}{chip}{_bare(after)}</div>')
    return "".join(parts)


def legend(parts: Iterable[str], *, cached: bool) -> str:
    """The key of the parts that occur."""
    used = set(parts)
    keys = [f'<span><i class="tk-{part}"></i>{name}</span>' for part, name in NAMES.items() if part in used]
    keys += ['<span><i class="tk-system tk-c"></i>cached</span>'] if cached else []
    return f'<div class="tk-key">{"".join(keys)}</div>'


def _bare(shown: Sequence[Cell]) -> str:
    drawn = "<wbr>".join(_cell(each.token, each.part, each.cached, each.inside) for each in shown[:MOST])
    return drawn + _more(len(shown) - MOST)


def _joined(drawn: Iterable[str], total: int) -> str:
    parts = list(drawn)
    return f'<div class="tk">{"<wbr>".join(parts)}{_more(total - len(parts))}</div>'


def _more(n: int) -> str:
    return f' <span class="bs-muted">… {fmt.plural(n, "more token")}</span>' if n > 0 else ""


@lru_cache(maxsize=65_536)  # A text is made of few tokens, again and again.
def _cell(token: Token, part: str, cached: bool = False, inside: bool = True) -> str:
    kind = {"special": " tk-s", "bytes": " tk-b"}.get(token.kind, "")
    look = f"tk-{part}{' tk-c' if cached else ''}" if inside else "tk-o"
    return f'<i class="{look}{kind}">{escape(cell_text(token))}</i>'
