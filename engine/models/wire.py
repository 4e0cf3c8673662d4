"""Fields of a request as one endpoint wants them: renamed, left out, or added, by keys of its [[models]] table.

Part of a model's identity, because they change what is sent. Knows no library and sends nothing; a cap can be renamed
and never left out, since the ceiling is reserved by it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Literal, get_args

from engine.core.errors import UnknownName, UsageError

Field = Literal["max_tokens", "temperature", "seed", "stop"]
FIELDS: tuple[str, ...] = get_args(Field)
"""What every request may carry, by the name it is sent under unless renamed."""
Omitted = Literal["temperature", "seed"]
OURS = (
    *("model", "messages", "prompt", "input", "n", "best_of", "stream", "stream_options", "tools", "functions"),
    *("max_tokens", "max_completion_tokens", "max_output_tokens", "max_new_tokens", "temperature", "seed"),
)
"""Fields that decide what is asked, billed or read, and so are nobody's to add."""
LITELLMS = frozenset(
    ("model", "timeout", "max_retries", "num_retries", "extra_headers", "extra_body", "api_base", "api_key")
)
"""Words of a request that are for litellm and not for the endpoint."""
_SECRET = re.compile("api[_-]?key|authorization|secret|password|bearer|access[_-]?token", re.IGNORECASE)
LARGEST_EXTRA = 2000
"""Characters of JSON that may be added to every request."""


def check(place: str, rename: Mapping[str, str] | None, omit: tuple[str, ...], extra: Mapping[str, Any] | None) -> None:
    """Refuse what could not be sent or would hide what is billed. Raises UsageError or UnknownName."""
    for name, new in (rename or {}).items():
        if name not in FIELDS:
            raise UnknownName(f"field in rename of {place}", name, FIELDS)
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,63}", new):
            raise UsageError(f"rename of {place} gives {name} a name that is none: letters, digits and underscores.")
        if name in omit:
            raise UsageError(f"{place} both renames and omits {name}; keep one of the two.")
    added = {*(extra or {}), *(rename or {}).values()}
    if len(added) < len(extra or {}) + len(rename or {}):
        raise UsageError(f"{place} gives two fields of a request one name in rename and extra.")
    for name in extra or {}:
        if name in OURS:
            better = "rename it instead" if name.startswith("max_") else "strategies and settings decide it"
            raise UsageError(f"extra of {place} must not hold {name}: {better}.")
    try:
        text = json.dumps(extra or {}, allow_nan=False)
    except (TypeError, ValueError):
        raise UsageError(f"extra of {place} holds a value that JSON cannot say, such as a date.") from None
    if _SECRET.search(text):
        raise UsageError(
            f"extra of {place} looks as if it held a key: name the key's variable with api_key_env instead."
        )
    if len(text) > LARGEST_EXTRA:
        raise UsageError(f"extra of {place} is longer than {LARGEST_EXTRA:,} characters of JSON.")


def marks(rename: Mapping[str, str] | None, omit: tuple[str, ...], extra: Mapping[str, Any] | None) -> dict[str, str]:
    """What these add to an identity, in an order that does not depend on how they were written."""
    said = {}
    if omit:
        said["omit"] = "+".join(sorted(omit))
    if rename:
        said["rename"] = "+".join(f"{name}>{new}" for name, new in sorted(rename.items()))
    if extra:
        said["extra"] = json.dumps(extra, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return said


def applied(
    sent: Mapping[str, Any], rename: Mapping[str, str] | None, omit: tuple[str, ...], extra: Mapping[str, Any] | None
) -> dict[str, Any]:
    """A request in litellm's words with these fields as the endpoint wants them."""
    if not (rename or omit or extra):
        return dict(sent)
    kept = {name: value for name, value in sent.items() if name not in omit}
    # The body's own words: what litellm does not know it would refuse, or drop.
    own = {new: kept.pop(name) for name, new in (rename or {}).items() if name in kept}
    return {**kept, "extra_body": {**(extra or {}), **own}}
