"""Content hashes: the one place that decides when two requests, questions, conditions or trials are the same.

Every id is a tag, a dash and 32 hex digits of BLAKE2b over canonical JSON, so a later change of algorithm shows in the
tag. Nothing here reads a clock, a file or a random number.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import astuple

from engine.core.records import Condition, Price, Problem, Prompt, Request, TrialSpec

# Made once: `json.dumps` makes one at every call, and a call of a model asks a dozen times.
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
_TEXT = {str}


def canonical(value: object) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text."""
    # A text alone, of which most lists here are, is written four times as fast as a list of it.
    if type(value) is list and set(map(type, value)) == _TEXT:
        return f"[{','.join(map(_ENCODER.encode, value))}]"
    return _ENCODER.encode(value)


def digest(tag: str, value: object) -> str:
    """`tag-` and 32 hex digits over the canonical JSON of `value`."""
    return _tagged(tag, canonical(value))


def number(value: object, bits: int) -> int:
    """A uniform integer below 2**bits that depends on the content of `value` alone."""
    return _folded(canonical(value), bits)


def prompt_key(messages: Prompt) -> str:
    """Id of a list of messages."""
    return prompt_and_key(messages)[1]


def prompt_and_key(messages: Prompt) -> tuple[str, str]:
    """Canonical JSON of messages, as pairs of role and content, and its id."""
    written = _written(messages)
    return written, _tagged("p1", written)


def stem(request: Request) -> str:
    """What the ids of a request begin with: canonical JSON of model, messages and parameters. Whoever wants several of
    its ids has it written once."""
    return f"[{canonical(request.model)},{_written(request.messages)},{canonical(request.params)}"


def stream_key(request: Request, begun: str = "") -> str:
    """What draws are counted by: the request without its cap and draw number."""
    return _tagged("s1", f"{begun or stem(request)},{request.repeat}]")


def request_key(request: Request, begun: str = "") -> str:
    """Id of a completion: everything that is sent except timeout and seed, plus repeat and draw."""
    return _tagged("c1", f"{begun or stem(request)},{request.asked_tokens},{request.repeat},{request.draw}]")


def completion_key(request: Request, run_id: str | None) -> str:
    """Id of one bought completion: the request's and the run that paid, so that a second purchase is a second row."""
    # Behind the key, so that `request_of` finds it whatever the run is called.
    return request.key if run_id is None else f"{request.key}@{run_id}"


def request_of(key: str) -> str:
    """The request a completion was bought for."""
    return key.partition("@")[0]


def provider_seed(request: Request, begun: str = "") -> int:
    """Seed to send: 31 bits over model, messages, parameters, repeat and draw; the cap left out."""
    return _folded(f"{begun or stem(request)},{request.repeat},{request.draw}]", 31)


def question_id(task: str, problem: Problem, target: str) -> str:
    """Id of a question: its content, whatever its order, file or seed."""
    body: list[object] = [task, problem.text, problem.context, problem.answer_kind, target]
    # How replies are read is told by what differs from the usual alone, so that older ids stay.
    if problem.statement != "last" or problem.options:
        body.append({"statement": problem.statement, "options": problem.options})
    if problem.turns:
        body.append([(turn.role, turn.content) for turn in problem.turns])
    return digest("q1", body)


def condition_id(condition: Condition) -> str:
    """Id of a condition: line-up, strategy, parameters, version, prompting, axis; the budget unless anytime."""
    return digest("k1", [condition.task, *_setting(condition)])


def trial_id(condition: Condition, question: str, repeat: int) -> str:
    """Id of a trial: question content and repeat besides all that makes the condition."""
    return next(trial_ids([setting(condition)], question, repeat))


def setting(condition: Condition) -> bytes:
    """What makes the condition, as ids of trials hash it: written once, not once a trial."""
    # Behind question and repeat in the same list, so without its opening bracket.
    return canonical(_setting(condition))[1:].encode("utf-8", "surrogatepass")


def trial_ids(settings: Iterable[bytes], question: str, repeat: int) -> Iterator[str]:
    """Ids of the trials of several conditions on one question, by what `setting` says of each."""
    head = hashlib.blake2b(f"[{canonical(question)},{repeat},".encode("utf-8", "surrogatepass"), digest_size=16)
    for each in settings:
        whole = head.copy()
        whole.update(each)
        yield f"t1-{whole.hexdigest()}"


def rng_seed(spec: TrialSpec) -> int:
    """Seed of a trial's own random numbers: never the budget, so every budget sees the same stream."""
    body = _method(spec.condition)
    return number([spec.condition.task, spec.question.question_id, spec.repeat, *body], 64)


def _tagged(tag: str, text: str) -> str:
    # Lone surrogates occur in questions and prompts; they are content as any other.
    body = text.encode("utf-8", "surrogatepass")
    return f"{tag}-{hashlib.blake2b(body, digest_size=16).hexdigest()}"


def _folded(text: str, bits: int) -> int:
    body = text.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(body, digest_size=8).digest(), "big") >> (64 - bits)


@functools.lru_cache(maxsize=1024)
def _written(messages: Prompt) -> str:
    """Canonical JSON of messages; kept, because every draw of a prompt asks for it."""
    return f"[{','.join([canonical([turn.role, turn.content]) for turn in messages])}]"


def _method(condition: Condition) -> list[object]:
    # By role, so that the order in which a study lists them changes no id.
    models = sorted((role, setting.identity) for role, setting in condition.lineup)
    return [models, condition.strategy, condition.params, condition.prompting]


def _listed_price(price: Price) -> list[object]:
    """What a wall in money is cut by; of a flat price the two rates alone, as ids have always had it."""
    more: list[object] = [] if price.flat else [price.request_pusd, [astuple(rates) for rates in price.rates]]
    return [price.input_pusd, price.output_pusd, *more]


def _setting(condition: Condition) -> list[object]:
    # An anytime trial at a larger budget is the same trial, gone further.
    budget = None if condition.anytime else condition.budget
    prices = None
    # The snapshot a money wall is cut by; other axes do not depend on prices.
    if condition.axis == "usd":
        settings = (setting for _, setting in sorted(condition.lineup, key=lambda pair: pair[0]))
        prices = [_listed_price(setting.price) for setting in settings if setting.price is not None]
    return [*_method(condition), condition.version, condition.axis, budget, prices]
