"""Sending a success to the store without waiting."""

from __future__ import annotations

from cbstore_sql.core.model import Permit
from cbstore_sql.core.policy import BreakerPolicy
from cbstore_sql.deadline import within
from cbstore_sql.runtime.interrupts import from_signal_handler
from cbstore_sql.stores.base import Store
from cbstore_sql.stores.base_async import AsyncStore


def send_success(store: Store | AsyncStore, permit: Permit, policy: BreakerPolicy, seconds: float | None) -> bool:
    """Send the success of a call through a circuit without failures, if the store can send without waiting.

    Args:
        store: The store of the breaker.
        permit: The permit of the call.
        policy: The breaker's policy.
        seconds: The longest time that the server may take for the answer, seconds. If it takes longer, the store gives
            up the connection. ``None`` means no limit.

    Returns:
        Whether the success was sent. If ``False``, the caller must report the success.
    """
    try:
        with within(seconds):
            return store.send_success(permit, policy)
    except Exception as error:
        if from_signal_handler(error):
            raise
        # The caller's report meets the error again, and then the outage policy applies.
        return False
