"""The targets of a router. A target is one model at one provider with one key."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from cbstore_sql.core.validation import check_name, check_threshold
from cbstore_sql.errors import ConfigurationError


@dataclass(frozen=True)
class LLMTarget:
    """A destination for calls: one model at one provider with one API key. Each target has one circuit.

    Args:
        provider: The provider, such as ``"openai"``.
        model: The model, such as ``"gpt-4o"``.
        key: A label for the API key, such as ``"team-a"``; ``""`` for no label. Do not pass the API key: the label
            becomes part of the breaker's name, which the library stores, logs and exports.
        client: An object that your function needs to call the model. The router does not use this object.

    Attributes:
        name: The breaker's name: ``provider/model`` or ``provider/model#key``.

    Raises:
        InvalidNameError: ``name`` is not a valid breaker name; for example, ``name`` is too long.
    """

    provider: str
    model: str
    key: str = ""
    client: Any = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        check_name("target", self.name)

    @property
    def name(self) -> str:
        """The breaker's name: ``provider/model``, or ``provider/model#key`` if the key has a label."""
        return f"{self.provider}/{self.model}" + (f"#{self.key}" if self.key else "")


class Targets:
    """The ordered list of the targets of one router.

    Args:
        targets: The targets, the most preferred first. At least one target; all names must differ.
        provider_down_at: The number of different models of one provider whose circuits must be open before the router
            treats the provider as down; at least 1. While a provider is down, a call tries the other models of this
            provider only after all other targets. ``None`` means that the router treats no provider as down.

    Raises:
        ConfigurationError: ``targets`` is empty, an element is not an `LLMTarget`, or two targets have the same name.
        InvalidPolicyError: ``provider_down_at`` is less than 1.
    """

    def __init__(self, targets: Iterable[LLMTarget], provider_down_at: int | None) -> None:
        self.all = tuple(targets)
        if not self.all or not all(isinstance(target, LLMTarget) for target in self.all):
            raise ConfigurationError("a router needs at least one LLMTarget")
        self.by_name = {target.name: target for target in self.all}
        if len(self.by_name) < len(self.all):
            raise ConfigurationError("two targets have the same name: give their keys different labels")
        if provider_down_at is not None:
            check_threshold("provider_down_at", provider_down_at)
        self._down_at = provider_down_at

    @property
    def names(self) -> list[str]:
        """The names of the targets, the most preferred first."""
        return list(self.by_name)

    def with_key_of(self, target: LLMTarget) -> list[LLMTarget]:
        """Return all targets that use the same provider and the same key as a given target.

        The given target is one of them.
        """
        return [other for other in self.all if (other.provider, other.key) == (target.provider, target.key)]

    def down(self, open_names: Collection[str]) -> set[str]:
        """Return the names of the providers that are down.

        A provider is down if the circuits of at least ``provider_down_at`` of its models are open.

        Args:
            open_names: The names of the targets whose circuit is open.
        """
        models = {(target.provider, target.model) for target in self.all if target.name in open_names}
        counted = Counter(provider for provider, _ in models)
        return {provider for provider, number in counted.items() if self._down_at and number >= self._down_at}

    def order(self, is_open: Callable[[str], bool], first: str | None, without: Collection[str]) -> Sequence[str]:
        """Return the names of the targets that a call may still try, the first choice first.

        The target that the conversation used before comes first, and then the others in the order of preference. There
        is one exception: if a provider is down, its other targets come last.

        Args:
            is_open: A function that takes the name of a breaker and returns whether its circuit is open, as this
                process last saw it.
            first: The name of the target that the conversation used before; ``None`` if there is no such target.
            without: The names of the targets that the call has already tried.
        """
        open_names = [name for name in self.by_name if is_open(name)]
        down = self.down(open_names)
        return sorted(
            (name for name in self.by_name if name not in without),
            # The sort is stable, so the targets of each group keep the order of preference.
            key=lambda name: (self.by_name[name].provider in down and name not in open_names, name != first),
        )
