"""What was found: `Results` over one database, and the lens, cells and advice it is asked with."""

from __future__ import annotations

from engine.analysis.advice import Advisor
from engine.analysis.advice.board import Advice
from engine.analysis.advice.decide import Decision
from engine.analysis.advice.loss import Loss
from engine.analysis.frontier import frontier_line
from engine.analysis.lens import STORED, Lens
from engine.analysis.pairs.compare import Cell, Comparison, Difference
from engine.analysis.results import Results
from engine.analysis.stats import Estimate

__all__ = [
    "STORED",
    "Advice",
    "Advisor",
    "Cell",
    "Comparison",
    "Decision",
    "Difference",
    "Estimate",
    "Lens",
    "Loss",
    "Results",
    "frontier_line",
]
