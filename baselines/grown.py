"""Configs that got options after results were stored under the hash of their dump."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import SerializerFunctionWrapHandler, model_serializer

from baselines.base import BaselineConfig


class GrownConfig(BaselineConfig):
    """Results and shared pre-trainings are found by a hash of the config's dump.

    An option that came later is therefore left out of the dump as long as it has the value that the code had before
    there was the option: every key made before stays as it is.

    Attributes:
        added: the options that came later, each with that value.
    """

    added: ClassVar[Mapping[str, Any]] = {}

    @model_serializer(mode="wrap")
    def _without_what_came_later(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        found: dict[str, Any] = dump(self)
        for name, before in self.added.items():
            # a subclass with another default has to say which value it means: what is left out is read as the default
            if name in found and getattr(self, name) == before == type(self).model_fields[name].default:
                del found[name]
        return found
