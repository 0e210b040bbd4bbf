"""Tools for tests of code that uses breakers. A test needs no database, waits for nothing, and can force every state.

With pytest, the fixture `breakers` is available as soon as the package is installed::

    def test_checkout_survives_a_dead_payment_service(breakers):
        breaker = breakers.use(shop.breaker)          # your own object, over a store in memory until the test ends
        breakers.force("payments", "open")
        assert shop.checkout() == "queued"
        breakers.clock.advance(31)                     # the open time is over: the next call is the probe
        assert shop.checkout() == "paid"

Without pytest, make a `Breakers` object and call `Breakers.close` at the end.

==============  ======================================================================================================
`breakers`      `Breakers`: makes breakers or controls existing breakers, forces states, records events
`clock`         `ManualClock`: a clock that a test moves
`store`         `ControlledStore`: a store in memory that a test can make fail or make slow
`plugin`        the pytest fixture
`conformance`   the contract of a store as a test suite, for your own stores
==============  ======================================================================================================
"""

from __future__ import annotations

from cbstore_sql.testing.breakers import Breakers
from cbstore_sql.testing.clock import ManualClock
from cbstore_sql.testing.store import ControlledStore

__all__ = ["Breakers", "ControlledStore", "ManualClock"]
