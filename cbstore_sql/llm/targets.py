"""The targets of a router: which model at which provider with which key, in order of preference."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from cbstore_sql.core.validation import check_name, check_threshold
from cbstore_sql.errors import ConfigurationError


@dataclass(frozen=True)
class LLMTarget:
    """One model at one provider with one key.

    Args:
        provider: The provider, such as ``"openai"``.
        model: The model.
        key: A label for the API key, such as ``"team-a"``. Never the key itself: it becomes part of a breaker's name,
            which is stored, logged and exported.
        client: What your function needs to call it; not used by the router.

    Attributes:
        name: The breaker's name: ``provider/model`` or ``provider/model#key``.

    Raises:
        InvalidNameError: The parts do not make a breaker's name.
    """

    provider: str
    model: str
    key: str = ""
    client: Any = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        check_name("target", self.name)

    @property
    def name(self) -> str:
        """The breaker's name."""
        return f"{self.provider}/{self.model}" + (f"#{self.key}" if self.key else "")


class Targets:
    """The targets of one router.

    Args:
        targets: In order of preference; at least one, with different names.
        provider_down_at: How many distinct models of a provider must be open for the provider to count as down. Its
            other models are then asked last. ``None``: providers are not judged.

    Raises:
        ConfigurationError: There are no targets, or two with one name.
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
        """The names, in order of preference."""
        return list(self.by_name)

    def with_key_of(self, target: LLMTarget) -> list[LLMTarget]:
        """Return the targets that use the same key."""
        return [other for other in self.all if (other.provider, other.key) == (target.provider, target.key)]

    def down(self, open_names: Collection[str]) -> set[str]:
        """Return the providers that count as down while these targets are open."""
        models = {(target.provider, target.model) for target in self.all if target.name in open_names}
        counted = Counter(provider for provider, _ in models)
        return {provider for provider, number in counted.items() if self._down_at and number >= self._down_at}

    def order(self, is_open: Callable[[str], bool], first: str | None, without: Collection[str]) -> Sequence[str]:
        """Return the names to ask, the most preferred first.

        Args:
            is_open: Whether a target's circuit is open, as far as this process knows.
            first: The name that a caller sticks to.
            without: Names that this call has tried.
        """
        open_names = [name for name in self.by_name if is_open(name)]
        down = self.down(open_names)
        return sorted(
            (name for name in self.by_name if name not in without),
            # The sort is stable: within these groups the order of preference stays.
            key=lambda name: (self.by_name[name].provider in down and name not in open_names, name != first),
        )
