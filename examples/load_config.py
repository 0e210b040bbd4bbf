"""A loader for policies from a YAML file. An error message says where the mistake is and what is wrong.

python load_config.py config.yaml
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import yaml

from cbstore_sql import BreakerPolicy, ConfigurationError

SETTINGS = {field.name for field in fields(BreakerPolicy)}


@dataclass(frozen=True)
class Policies:
    """The policies from one file, for ``CircuitBreaker(store, policies.default, policies=policies.by_name)``.

    Attributes:
        default: The policy of every breaker that has no policy in ``by_name``.
        by_name: The policies of single breakers, by breaker name.
    """

    default: BreakerPolicy
    by_name: Mapping[str, BreakerPolicy]


def load_policies(path: str | Path) -> Policies:
    """Read the policies from a file like ``config.yaml``.

    A breaker in the file has the value of ``defaults`` for each setting that the file does not give for this breaker.

    Args:
        path: The path of the YAML file.

    Raises:
        ConfigurationError: The text is not YAML, a setting is unknown, or a value is out of range.
        OSError: The file cannot be read.
    """
    try:
        document = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigurationError(f"{path}: {error}") from None
    breakers = _section("the file", document, {"breakers"}).get("breakers")
    parts = _section("breakers", breakers, {"defaults", "names"})
    default = _policy("breakers.defaults", BreakerPolicy(), parts.get("defaults"))
    names = _section("breakers.names", parts.get("names"))
    by_name = {name: _policy(f"breakers.names.{name}", default, settings) for name, settings in names.items()}
    return Policies(default, by_name)


def _policy(place: str, base: BreakerPolicy, settings: Any) -> BreakerPolicy:
    changes = _section(place, settings, SETTINGS)
    try:
        return replace(base, **changes)
    except ConfigurationError as error:
        raise ConfigurationError(f"{place}: {error}") from None


def _section(place: str, value: Any, known: set[str] | None = None) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise ConfigurationError(f"{place} must be a mapping with text for keys")
    if known is not None and (unknown := sorted(set(value) - known)):
        raise ConfigurationError(f"{place}: unknown: {', '.join(unknown)}; known: {', '.join(sorted(known))}")
    return value


if __name__ == "__main__":
    loaded = load_policies(sys.argv[1])
    for name, policy in {"(default)": loaded.default, **loaded.by_name}.items():
        print(name, policy)
