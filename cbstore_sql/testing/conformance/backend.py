"""The way in which the conformance tests open a store, in this process and in other processes."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

from cbstore_sql.errors import ConfigurationError
from cbstore_sql.stores.base import Store


class Backend(Protocol):
    """The interface of an object that opens the stores under test, all over the same database.

    A backend must be picklable. Other processes receive the pickled backend and open stores over the same database.
    """

    def open(self, namespace: str | None = None) -> Store:
        """Open a store for the breakers of a namespace.

        Args:
            namespace: The namespace; ``None`` means a new namespace.
        """


@dataclass(frozen=True)
class ImportedBackend:
    """A backend that opens stores with a function, which it imports by name.

    Attributes:
        target: The function, as ``"package.module:function"``. The function receives a namespace and returns a
            `Store`.
    """

    target: str

    def open(self, namespace: str | None = None) -> Store:
        """Import the function of ``target``, call it with a namespace, and return its result.

        Args:
            namespace: The namespace; ``None`` means a new namespace.

        Raises:
            ConfigurationError: The function does not exist, or its result is not a `Store`.
        """
        module, _, function = self.target.partition(":")
        try:
            make: Any = getattr(import_module(module), function)
        except (ImportError, AttributeError, ValueError) as error:
            raise ConfigurationError(
                f"--store must be package.module:function, got {self.target!r}: {error}"
            ) from error
        store = make(namespace or uuid.uuid4().hex)
        if not isinstance(store, Store):
            raise ConfigurationError(f"{self.target} must return a cbstore_sql.Store, got {type(store).__name__}")
        return store
