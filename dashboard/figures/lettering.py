"""Letters on figures: escaping, shortening and the width a text will take; knows the font, never the figure.

Names of strategies, models and tasks come from users. Plotly renders a part of HTML in every text it draws, and reads
`$...$` as a formula where a page has MathJax, so nothing reaches a figure but through `safe`.
"""

from __future__ import annotations

import unicodedata

from engine.core import names
from engine.core.names import ARROW
from engine.core.text import MINUS

REGULAR = """
    200 289 426 497 497 824 609 249 303 303 418 497 249 311 249 350 497 497 497 497 497 497 497 497
    497 497 249 249 497 497 497 425 847 543 588 571 615 527 494 617 652 263 479 579 486 727 647 664
    566 664 569 534 536 645 515 786 513 476 539 303 350 303 497 500 542 504 553 456 555 496 292 504
    544 246 247 495 255 829 547 542 555 555 347 419 338 544 467 719 446 467 425 303 241 303 497
"""
"""Advance widths of Source Sans from space to tilde, in thousandths of the font size."""
BOLD = """
    200 340 537 528 528 857 667 300 344 344 457 528 300 332 300 339 528 528 528 528 528 528 528 528
    528 528 300 300 528 528 528 463 902 573 605 582 635 548 524 638 674 301 509 614 518 762 665 684
    596 684 613 556 556 665 556 813 567 525 541 344 339 344 528 500 555 527 573 468 573 518 341 534
    571 276 278 548 286 857 572 555 573 573 398 443 383 568 523 776 514 521 460 344 268 344 528
"""
WIDTHS = {
    bold: dict(zip(map(chr, range(32, 127)), map(int, table.split()), strict=True))
    | {"·": 275, "→": 850, "–": 500, "×": 497, MINUS: 497, "\u00a0": 200}
    for bold, table in ((False, REGULAR), (True, BOLD))
}
LONGEST = 44
"""Characters of a name that are shown before it is cut with an ellipsis."""

__all__ = ["cut", "plain", "safe", "short_model", "width"]


def plain(text: str, longest: int = LONGEST) -> str:
    """One line of printable text: controls, bidi marks and lone surrogates gone, cut to `longest` characters."""
    kept = "".join(" " if c.isspace() else c for c in text if c.isspace() or unicodedata.category(c)[0] != "C")
    line = " ".join(kept.split())
    return line if len(line) <= longest else line[: longest - 1].rstrip() + "…"


def safe(text: str) -> str:
    """Text that plotly shows letter by letter: no tag, entity or formula survives."""
    swaps = (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("$", "&#36;"), ("%{", "%&#123;"))
    for sign, entity in swaps:
        text = text.replace(sign, entity)
    return text


def short_model(model: str) -> str:
    """The part of a model name people say: `openai/gpt-4o-mini` is `gpt-4o-mini`; of a line-up, of each."""
    called = names.model(ARROW.join(plain(each, 200) for each in model.split(ARROW)))
    return ARROW.join(map(plain, called.split(ARROW))).strip()


def width(text: str, size: float, *, bold: bool = False) -> float:
    """Pixels a line of text takes in Source Sans at `size` pixels; wide scripts count a full square."""
    known = WIDTHS[bold]
    return sum(known.get(c) or (1000 if unicodedata.east_asian_width(c) in "WF" else 640) for c in text) * size / 1000


def cut(text: str, room: float, size: float, *, bold: bool = False) -> str:
    """A line of text that takes at most `room` pixels, with an ellipsis where it had to be cut."""
    if width(text, size, bold=bold) <= room:
        return text
    # Letters differ in width, so the cut is found by measuring, from the longest on.
    cuts = (text[:end] + "…" for end in range(len(text), 0, -1))
    return next((each for each in cuts if width(each, size, bold=bold) <= room), "…")[:-1].rstrip() + "…"
