"""Test code that uses breakers: no database, no waiting, every state at will.

With pytest the fixture `breakers` is there as soon as the package is installed::

    def test_checkout_survives_a_dead_payment_service(breakers):
        breaker = breakers.use(shop.breaker)          # your own object, over a store in memory until the test ends
        breakers.force("payments", "open")
        assert shop.checkout() == "queued"
        breakers.clock.advance(31)                     # the circuit is due for a probe
        assert shop.checkout() == "paid"

Without pytest, make `Breakers` yourself and call `Breakers.close` at the end.

==============  ======================================================================================================
`breakers`      `Breakers`: makes or takes over breakers, forces states, records events
`clock`         `ManualClock`: a clock that a test moves
`store`         `ControlledStore`: a store in memory that fails or is slow when told to
`plugin`        the pytest fixture
`conformance`   the contract of a store as a test suite, for stores of your own
==============  ======================================================================================================
"""

from __future__ import annotations

from cbstore_sql.testing.breakers import Breakers
from cbstore_sql.testing.clock import ManualClock
from cbstore_sql.testing.store import ControlledStore

__all__ = ["Breakers", "ControlledStore", "ManualClock"]
