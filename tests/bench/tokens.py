"""How long tokens take: cutting a megabyte, and drawing the strip of a call of 10,000.

    python -m tests.bench.tokens

Prints seconds, the best of three; the goals are 1 s and 0.5 s of server time.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from dashboard.text import strips
from engine.core.records import Call, Completion, Message, Spend, Usage
from engine.models.tokens import call_tokens, tokenizers
from engine.runs.run_dir import now

SENTENCE = "Then 17 apples and 4 pears are 21, so the answer, step by step, is twenty-one. "
MEGABYTE = (SENTENCE * 14_000)[:1_000_000]


def best(act: Callable[[], object]) -> float:
    """Seconds of the fastest of three."""
    took = []
    for _ in range(3):
        start = time.perf_counter()
        act()
        took.append(time.perf_counter() - start)
    return min(took)


def strip(tokenizer: tokenizers.Tokenizer, n: int) -> str:
    """The markup of a call with a short prompt and a reply of about n tokens, cut in the middle."""
    text = SENTENCE * (n // tokenizer.count(SENTENCE) + 1)
    seen = tokenizer.count(text)
    spend = Spend(1, 20, 0, 0, seen)
    prompt = (Message("user", "How many?"),)
    call = Call(0, "solve", "m", "k", prompt, seen, seen, 20, None, False, spend, seen, 20)
    reply = Completion("k", text, "length", Usage(20, seen), 1, None, None, now())
    drawn = call_tokens.strip(call, reply, tokenizer, granted=n // 2)
    return strips.cells(drawn.prompt) + strips.reply(drawn, f"{n // 2} tokens")


def main() -> None:
    """Measure every tokenizer that is here."""
    for name in tokenizers.at_hand():
        tokenizer = tokenizers.open_tokenizer(name)
        tokenizer.count("warm")
        cut = best(lambda: tokenizer.cut(MEGABYTE))  # noqa: B023
        drawn = best(lambda: strip(tokenizer, 10_000))  # noqa: B023
        print(f"{name:22s} 1 MB {cut:6.3f} s   strip of 10,000 {drawn:6.3f} s")


if __name__ == "__main__":
    main()
