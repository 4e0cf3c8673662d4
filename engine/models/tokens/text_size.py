"""What a text is to a model: its cost as a prompt, its share of the context window, what a budget leaves for the reply,
and how many tokens more the same sentence takes in other languages.

Pure but for the tokenizers; list prices are those of the bundled map and carry its release.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from engine.core.errors import UsageError
from engine.core.records import Price, Spend
from engine.models import prices, snapshots
from engine.models.llama import SLOT_TOKENS
from engine.models.tokens.tokenizers import Cut, Tokenizer, open_tokenizer

MODELS = ("local/smollm2-135m", "gpt-4o-mini", "gpt-4o", "deepseek/deepseek-chat")
"""Models whose costs are shown unless others are asked for."""
SENTENCES = {
    "English": "Think step by step, then answer in one word.",
    "Spanish": "Piensa paso a paso y luego responde con una sola palabra.",
    "Portuguese": "Pensa passo a passo e depois responde com uma só palavra.",
    "French": "Réfléchis étape par étape, puis réponds en un seul mot.",
    "German": "Denke Schritt für Schritt und antworte dann mit einem Wort.",
    "Turkish": "Adım adım düşün, sonra tek kelimeyle cevap ver.",
    "Vietnamese": "Hãy suy nghĩ từng bước, rồi trả lời bằng một từ.",
    "Russian": "Думай шаг за шагом, затем ответь одним словом.",
    "Greek": "Σκέψου βήμα βήμα και μετά απάντησε με μία λέξη.",
    "Chinese": "请一步一步地思考，然后用一个词回答。",
    "Japanese": "一歩ずつ考えてから、一語で答えてください。",
    "Korean": "단계별로 생각한 다음 한 단어로 답하세요.",
    "Arabic": "فكّر خطوة بخطوة، ثم أجب بكلمة واحدة.",
    "Hebrew": "חשוב צעד אחר צעד, ואז ענה במילה אחת.",
    "Hindi": "चरण दर चरण सोचो, फिर एक शब्द में उत्तर दो।",
    "Thai": "คิดทีละขั้นตอน แล้วตอบด้วยคำเดียว",
}
"""One sentence of ours in the languages by their English names; English is what the others are compared with."""


@dataclass(frozen=True, slots=True)
class Fit:
    """A text as the prompt of one model; the chat template, which adds some tokens, is not counted."""

    model: str
    tokens: int
    exact: bool
    """False: counted by the nearest tokenizer, the model's own is not at hand."""
    price: Price | None
    """None: unknown; of a model that runs here nobody sends a bill, see `free`."""
    free: bool
    reply_tokens: int
    input_pusd: int | None
    """Pico-dollars of the text as input, one call; None: the price is unknown; 0: free."""
    output_pusd: int | None
    """Pico-dollars of the same text as output; None and 0 as above."""
    call_pusd: int | None
    """Pico-dollars of one call with this text and a reply of `reply_tokens`."""
    context_tokens: int | None
    """Size of the context window; None: unknown."""

    @property
    def context_share(self) -> float | None:
        """Share of the context window that the text fills; over 1: it does not fit; None: unknown."""
        return self.tokens / self.context_tokens if self.context_tokens else None

    def reply_for(self, usd: float) -> int | None:
        """Output tokens that so many dollars leave after the text; None: no limit, or an unknown price."""
        if self.price is None or self.input_pusd is None:
            return None
        # The prompt alone decides the tier, for input and output of the call alike.
        rate = self.price.rates[self.price.tier(self.tokens)].output_pusd
        return None if rate == 0 else max(0, (prices.pusd(usd) - self.input_pusd) // rate)


def fit(text: str, model: str, reply_tokens: int = 256, tokenizer: Tokenizer | None = None) -> Fit:
    """What a text is to one model. Raises UsageError for a local model that is not here, or a negative reply."""
    if reply_tokens < 0:
        raise UsageError(f"A reply has 0 tokens or more, not {reply_tokens}.")
    tokenizer = tokenizer or open_tokenizer(model)
    # Whatever stands in a price list: it runs on this machine and nobody bills it.
    n, free = tokenizer.count(text), model.startswith("local/")
    price = snapshots.todays([model]).get(model)

    def cost(spend: Spend) -> int | None:
        return 0 if free else None if price is None else price.cost_pusd(spend)

    return Fit(
        model=model,
        tokens=n,
        exact=tokenizer.exact,
        price=price,
        free=free,
        reply_tokens=reply_tokens,
        input_pusd=cost(Spend(calls=1, input_tokens=n)),
        # Without a call: what every call costs besides is said once, with the input.
        output_pusd=cost(Spend(output_tokens=n)),
        call_pusd=cost(Spend(calls=1, input_tokens=n, output_tokens=reply_tokens)),
        # Of a model here it is what its server gives one request, whatever the file could hold.
        context_tokens=SLOT_TOKENS if free else prices.context_tokens(model),
    )


@dataclass(frozen=True, slots=True)
class Room:
    """A budget on all tokens of one answer, and the text as the prompt of each of its calls."""

    budget_tokens: int
    prompt_tokens: int

    @property
    def left(self) -> int:
        """Tokens for the reply of one call; 0: the text alone fills the budget."""
        return max(0, self.budget_tokens - self.prompt_tokens)

    @property
    def share(self) -> float:
        """Share of the budget that the text fills; over 1: it does not fit."""
        return self.prompt_tokens / self.budget_tokens

    def reply(self, calls: int) -> int:
        """Tokens for each reply if the text is sent in so many calls; 0: they do not fit."""
        return max(0, self.budget_tokens - calls * self.prompt_tokens) // calls


def room(prompt_tokens: int, budget_tokens: int) -> Room:
    """What a budget leaves. Raises UsageError for a budget of no tokens."""
    if budget_tokens < 1:
        raise UsageError(f"A budget is 1 token or more, not {budget_tokens}.")
    return Room(budget_tokens, prompt_tokens)


@dataclass(frozen=True, slots=True)
class Premium:
    """The sentence of one language by one tokenizer."""

    language: str
    sentence: str
    tokenizer: str
    tokens: int
    premium: float
    """Its tokens over those of the English sentence by the same tokenizer: the token premium (Petrov et al., 2023,
    arXiv 2305.15425), here of one sentence alone."""


def premiums(tokenizers: Sequence[Tokenizer], languages: Iterable[str] | None = None) -> list[Premium]:
    """The same sentence in several languages (None: all of `SENTENCES`), language by language."""
    found = []
    english = {tokenizer.name: tokenizer.count(SENTENCES["English"]) for tokenizer in tokenizers}
    for language in languages or SENTENCES:
        for tokenizer in tokenizers:
            n = tokenizer.count(SENTENCES[language])
            # Exact until the end, so that equal counts make exactly 1.
            ratio = float(Fraction(n, english[tokenizer.name]))
            found.append(Premium(language, SENTENCES[language], tokenizer.name, n, ratio))
    return found


def cuts(text: str, names: Sequence[str], *, first: int = 0, most: int = 2_000, special: bool = False) -> list[Cut]:
    """One text by several tokenizers side by side; see `Tokenizer.cut`."""
    return [open_tokenizer(name).cut(text, first=first, most=most, special=special) for name in names]
