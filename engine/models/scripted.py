"""Scripted models: offline and deterministic, for tests, for teaching and for trying the tool without a model.

Everything they say is simulated and labelled so wherever it appears. A word is a token here and the end of a reply is
one more; a reply is a pure function of the request's content and seed.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from engine.core.errors import UnknownName
from engine.core.records import Completion, ModelSetting, Prompt, Request, Usage
from engine.models.declared import ModelSpec
from engine.models.model import Bound, Rates

Script = Callable[[Request, random.Random], str]
"""Full text of a reply, given the request and a generator seeded by model, messages, parameters, repeat and draw."""
_KEPT = 4_000
"""Requests a model remembers."""


@dataclass
class ScriptedModel:
    """A model that follows a script; see `Model` for the protocol."""

    setting: ModelSetting
    script: Script
    slack: float = 1.0
    """Prompt bound over true prompt tokens: 1.0 is exact, more is loose, less makes the provider overrun it."""
    pauses: int = 0
    """Upper bound of event-loop turns a reply takes, drawn per reply: shuffles arrival, never content."""
    context_tokens: int | None = None
    parallel: int = 64
    rates: Rates = Rates()
    one_draw_at_zero: bool = False
    simulated: bool = True
    local: bool = True
    continues: bool = True
    temperature: float | None = None
    thinking_tokens: int = 0
    fickle: bool = False
    """True: every purchase says something else, like a provider that ignores seeds."""
    served: list[Request] = field(default_factory=list)
    """Requests answered so far, in order of arrival; of very many the latest."""

    async def bound(self, messages: Prompt) -> Bound:
        """The word count, times `slack`."""
        return Bound(max(1, int(self.least(messages) * self.slack)), exact=self.slack == 1.0)

    def least(self, messages: Prompt) -> int:
        """Words plus one per message."""
        return sum(len(message.content.split()) + 1 for message in messages)

    async def complete(self, request: Request) -> Completion:
        """Say what the script says, cut at the cap it is sent."""
        self.served.append(request)
        if len(self.served) > _KEPT:
            # A run of a million calls is no place to keep them all.
            del self.served[: _KEPT // 2]
        rng = random.Random(len(self.served) if self.fickle else request.seed)
        words = self.script(request, rng).split(" ")
        # From a generator of its own, so that shuffling arrival leaves the text as it is.
        for _ in range(random.Random(f"{request.key}{len(self.served)}").randint(0, self.pauses)):
            await asyncio.sleep(0)
        # One token more than its words: a reply that just fills the cap never came to its end.
        whole = len(words) < request.cap_tokens
        usage = Usage(self.least(request.messages), len(words) + 1 if whole else request.cap_tokens)
        return Completion(
            key=request.key,
            text=" ".join(words[: request.cap_tokens]),
            finish="stop" if whole else "length",
            usage=usage,
            latency_ms=0,
            model_reported=self.setting.identity,
            fingerprint=None,
            created_at=datetime.now(UTC),
            sent_tokens=request.sent_tokens,
        )

    async def probe(self) -> str | None:
        """None: there is nothing to reach."""
        return None

    async def close(self) -> None:
        """Nothing to give back."""


def adder(right: float) -> Script:
    """A script that adds the numbers of the last turn, right with this chance, after reasoning of varied length."""

    def say(request: Request, rng: random.Random) -> str:
        question = next((m.content for m in reversed(request.messages) if m.role == "user"), "")
        numbers = [int(n) for n in re.findall(r"\d{1,9}", question.split("\n")[0])]
        answer = sum(numbers) + (0 if rng.random() < right else rng.choice((-1, 1, 10)))
        steps = " ".join(["so"] * rng.randint(1, 40))
        return f"{steps} Answer: {answer}"

    return say


def stepper(right: float) -> Script:
    """A script that adds and subtracts number after number, each step right with this chance: long sums are hard.

    Asked for a number in double square brackets it rates the sum: twice its steps, at most 10. It reads the last turn
    of the user that states a sum, so it can go on in a debate.
    """

    def say(request: Request, rng: random.Random) -> str:
        turns = [message.content for message in request.messages if message.role == "user"]
        sums = [terms for text in turns if len(terms := re.findall(r"([+-]?) ?(\d{1,9})", text.split("\n")[0])) > 1]
        numbers = [int(sign + digits) for sign, digits in sums[-1]] if sums else [0]
        if "double square brackets" in turns[-1]:
            return f"[[{min(10, max(1, 2 * (len(numbers) - 1)))}]]"
        slips = sum(rng.choice((-1, 1, 10)) for _ in numbers[1:] if rng.random() > right)
        return f"{' '.join(['so'] * rng.randint(1, 10 * len(numbers)))} Answer: {sum(numbers) + slips}"

    return say


def noise(request: Request, rng: random.Random) -> str:
    """Rubbish of any length, with control characters, markup and no answer."""
    # Each once broke something: a page, an extractor, a terminal's direction of text, a quote in SQL, a table in CSV.
    rubbish = ("<script>", "Answer:", "\\boxed{", "\u202e", "0", "[[", "'; drop", "\x00", "💥", "=1+1")
    return " ".join(rng.choice(rubbish) for _ in range(rng.randint(1, 60)))


_SCRIPTS: dict[str, Script] = {
    "adder": adder(0.6),
    "sure-adder": adder(0.95),
    "small-adder": stepper(0.75),
    "large-adder": stepper(0.97),
    "noise": noise,
}


def open_scripted(name: str, declared: ModelSpec | None = None) -> ScriptedModel:
    """A scripted model by its full name. Raises UnknownName, or UsageError for settings it has no use for."""
    spec = declared or ModelSpec(name)
    model_name = spec.model or name
    script = _SCRIPTS.get(model_name.removeprefix("scripted/"))
    if script is None:
        raise UnknownName("model", model_name, names())
    spec.settings.check_known(name, (), "A scripted model")
    # The version of the scripts is part of the identity, as a file's hash is.
    setting = ModelSetting(name, f"{model_name}@1", spec.price)
    return ScriptedModel(setting, script, continues=spec.continues is not False)


def names() -> list[str]:
    """Full names of the scripted models."""
    return [f"scripted/{name}" for name in _SCRIPTS]
