"""A custom store that has only the eight methods of the dictionary protocol."""

from __future__ import annotations

from typing import Any

from cbstore_sql.stores.dict_protocol import ProtocolStore

EIGHT = (
    "get_state",
    "set_state",
    "cas_state",
    "increment_failure",
    "atomic_record_failure",
    "atomic_record_success",
    "try_transition_and_claim_probe",
    "clear",
)


class Dictionary:
    """A store with only the eight methods of the dictionary protocol.

    Attributes:
        calls: The methods called, in order.
    """

    def __init__(self, store: ProtocolStore) -> None:
        self.calls: list[str] = []
        for method in EIGHT:
            setattr(self, method, self._noted(method, getattr(store, method)))

    def _noted(self, method: str, call: Any) -> Any:
        def noted(*args: Any, **kwargs: Any) -> Any:
            self.calls.append(method)
            return call(*args, **kwargs)

        return noted
