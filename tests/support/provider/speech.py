"""What the test provider says when it behaves: pure in messages, seed, temperature and cap; a word is a token."""

from __future__ import annotations

import json
import random
import re
from typing import Any

SUM = re.compile(r"(\d+)\s*\+\s*(\d+)")
FILLER = (
    "so",
    "we",
    "look",
    "at",
    "each",
    "part",
    "add",
    "the",
    "pieces",
    "carry",
    "what",
    "is",
    "left",
    "check",
    "once",
)


def completion(body: dict[str, Any], skill: float = 0.6) -> dict[str, Any]:
    """A whole reply as OpenAI shapes it; pure in messages, seed, temperature and cap."""
    messages = body.get("messages") or []
    seed = body.get("seed") if body.get("temperature", 1) else "greedy"
    rng = random.Random(f"{canonical(messages)}|{seed}")
    words = _text(last_text(body), rng, skill).split(" ")
    cap = body.get("max_completion_tokens") or body.get("max_tokens") or 4096
    kept = words[:cap]
    used = min(cap, len(words) + 1)
    prompt = sum(len(str(message.get("content")).split()) + 4 for message in messages)
    return {
        "id": "chatcmpl-" + format(rng.getrandbits(64), "x"),
        "object": "chat.completion",
        "created": 1700000000,
        "model": body.get("model"),
        "system_fingerprint": "fp_provider",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": " ".join(kept)},
                "finish_reason": "stop" if used > len(words) else "length",
            }
        ],
        "usage": {"prompt_tokens": prompt, "completion_tokens": used, "total_tokens": prompt + used},
    }


def _text(question: str, rng: random.Random, skill: float) -> str:
    found = SUM.findall(question)
    right = int(found[-1][0]) + int(found[-1][1]) if found else rng.randint(0, 9)
    answer = right if rng.random() < skill else right + rng.choice((-2, -1, 1, 2, 10))
    steps = " ".join(rng.choice(FILLER) for _ in range(rng.randint(4, 48)))
    return f"{steps}. The answer is {answer}."


def last_text(body: dict[str, Any]) -> str:
    messages = body.get("messages") or [{}]
    return str(messages[-1].get("content", ""))


def canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)
