"""Whom we ask: how a name becomes a model.

Imports litellm, xllamacpp or a network library never: the modules beside it do, and only when a model of theirs is
opened.
"""

from __future__ import annotations

from collections.abc import Mapping

from engine.core.errors import UnknownName
from engine.models.declared import ModelSpec
from engine.models.model import Bound, Model, Rates

__all__ = ["Bound", "Declared", "Model", "Rates", "known_models", "open_model"]


def open_model(name: str, declared: Mapping[str, ModelSpec], *, sends: bool = True) -> Model:
    """The model a name stands for; nothing is started or sent. Raises UnknownName or UsageError.

    `sends`: False for one that will only be asked for its price and its bounds, which needs no key.

    Declared names come first, then 'scripted/...', 'local/...' and whatever litellm knows a provider of.
    """
    told = declared.get(name)
    model = _opened(name, told, declared, sends)
    model.rates = told.rates if told else Rates()
    return model


def _opened(name: str, told: ModelSpec | None, declared: Mapping[str, ModelSpec], sends: bool) -> Model:
    if told is not None and told.api_base is not None:
        from engine.models.remote import open_endpoint

        return open_endpoint(told, sends=sends)
    asked = (told.model if told else None) or name
    if asked.startswith("scripted/"):
        from engine.models.scripted import open_scripted

        return open_scripted(name, told)
    if asked.startswith("local/") or (told is not None and told.gguf is not None):
        from engine.models.local import open_local

        return open_local(name, told)
    return _open_provider(name, told, declared, sends)


def known_models() -> tuple[str, ...]:
    """Names that `open_model` takes as they are; any endpoint or GGUF file may be declared besides."""
    from engine.models.local import BUNDLED
    from engine.models.prices import priced_names
    from engine.models.scripted import names

    return (*BUNDLED, *names(), *priced_names())


def _open_provider(name: str, told: ModelSpec | None, declared: Mapping[str, ModelSpec], sends: bool) -> Model:
    from engine.models.remote import open_provider

    try:
        return open_provider(name, told, sends=sends)
    except UnknownName:
        raise UnknownName("model", name, {*known_models(), *declared} - {name}) from None
