"""Single values on their way into a column and back: times without a zone, text that UTF-8 holds, small JSON."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

Row = dict[str, Any]


def naive(moment: datetime) -> datetime:
    """The moment as the database keeps it: UTC without a zone."""
    return moment.astimezone(UTC).replace(tzinfo=None)


def aware(moment: datetime) -> datetime:
    """A stored moment with its zone back."""
    return moment.replace(tzinfo=UTC)


def storable(text: str) -> str:
    """Text that UTF-8 can hold: a lone surrogate in a model's reply becomes U+FFFD."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def dumped(value: object) -> str:
    """Readable JSON text of a small nested value."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def plain(record: object) -> Row:
    """The fields of a flat record, times made naive."""
    values = {name: getattr(record, name) for name in getattr(record, "__dataclass_fields__", ())}
    return {name: naive(v) if isinstance(v, datetime) else v for name, v in values.items()}
