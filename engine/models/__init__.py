"""Whom we ask: how a name becomes a model.

Imports litellm, xllamacpp or a network library never: the modules beside it do, and only when a model of theirs is
opened.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from engine.core.errors import UnknownName
from engine.models.declared import ModelSpec
from engine.models.model import Bound, Model, Rates

__all__ = ["Bound", "Model", "ModelSpec", "Rates", "known_models", "notices", "open_model", "prepare"]


def open_model(name: str, declared: Mapping[str, ModelSpec], *, sends: bool = True) -> Model:
    """The model a name stands for; nothing is started or sent. Raises UnknownName or UsageError.

    `sends`: False for one that will only be asked for its price and its bounds, which needs no key.

    Declared names come first, then 'scripted/...', 'local/...' and whatever litellm knows a provider of.
    """
    spec = declared.get(name)
    model_name = (spec.model if spec else None) or name
    model: Model
    # Each branch imports its own module: litellm takes seconds, and a scripted model needs none of it.
    if spec is not None and spec.api_base is not None:
        from engine.models.remote import open_endpoint

        model = open_endpoint(spec, sends=sends)
    elif model_name.startswith("scripted/"):
        from engine.models.scripted import open_scripted

        model = open_scripted(name, spec)
    elif model_name.startswith("local/") or (spec is not None and spec.gguf is not None):
        from engine.models.local import open_local

        model = open_local(name, spec)
    else:
        from engine.models.remote import open_provider

        try:
            model = open_provider(name, spec, sends=sends)
        except UnknownName:
            from engine.models.prices import bare_names

            # Told again, because litellm's error knows neither the study's own names nor that `name` is one of them.
            bare = () if "/" in name else bare_names()
            raise UnknownName("model", name, {*known_models(), *bare, *declared} - {name}) from None
    model.rates = spec.rates if spec else Rates()
    return model


def prepare(specs: Iterable[ModelSpec], *, sends: bool = True) -> None:
    """Begin in the background what opening one of these would wait seconds for, if any needs it: litellm's import."""
    for spec in specs:
        name = spec.model or spec.name
        if spec.api_base is None and spec.gguf is None and not name.startswith(("scripted/", "local/")):
            from engine.models import openais, prices

            if openais.asked_as(name) is None and prices.may_be_known(name):
                from engine.models.remote import lacking, prefetch

                # Without its key it is refused before it is needed.
                if not (sends and spec.api_key_env is None and lacking(name)):
                    prefetch()


def notices(models: Iterable[Model]) -> list[str]:
    """What is unusual about where models are asked, in a sentence each."""
    # Only a remote model may have any.
    return [notice for model in models if (notice := getattr(model, "notice", None))]


def known_models() -> tuple[str, ...]:
    """Names that `open_model` takes as they are; any endpoint or GGUF file may be declared besides."""
    from engine.models.bundled import BUNDLED
    from engine.models.prices import priced_names
    from engine.models.scripted import names

    return (*BUNDLED, *names(), *priced_names())
