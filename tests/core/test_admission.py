"""Tests of the admission of a call: first the override, then the hold, then the state."""

from __future__ import annotations

from typing import Any

import pytest

from cbstore_sql import Snapshot, State
from cbstore_sql.core.admission import (
    UNKNOWN_WAIT,
    Action,
    Admission,
    admission,
    effective_state,
    open_wait,
    ramp_share,
)

NOW = 1000.0
CLEAN = Snapshot("b", State.CLOSED, 0, 0, 0, 0.0, 0.0, 0.0, "", 0.0, NOW)
OPEN = CLEAN._replace(state=State.OPEN, open_until=1020.0)
ELAPSED = OPEN._replace(open_until=NOW)
PROBING = CLEAN._replace(state=State.HALF_OPEN, probe_token="owner", probe_until=1010.0)
FREE = PROBING._replace(probe_token="", probe_until=0.0)
ADMIT, CLAIM, REFUSE = Action.ADMIT, Action.CLAIM, Action.REFUSE
HELD: dict[str, Any] = {"hold_until": 1005.0}


@pytest.mark.parametrize(
    ("snapshot", "expected"),
    [
        (CLEAN, Admission(ADMIT)),
        (OPEN, Admission(REFUSE, "state", 20.0)),
        (ELAPSED, Admission(CLAIM)),
        (PROBING, Admission(REFUSE, "state", 10.0)),
        (FREE, Admission(CLAIM)),
        (CLEAN._replace(**HELD), Admission(REFUSE, "hold", 5.0)),
        (CLEAN._replace(hold_until=NOW), Admission(ADMIT)),
        (ELAPSED._replace(**HELD), Admission(REFUSE, "hold", 5.0)),
        (OPEN._replace(**HELD), Admission(REFUSE, "hold", 20.0)),
        (CLEAN._replace(override="open"), Admission(REFUSE, "override", UNKNOWN_WAIT)),
        (CLEAN._replace(override="open", override_until=1030.0), Admission(REFUSE, "override", 30.0)),
        (CLEAN._replace(override="open", override_until=NOW), Admission(ADMIT)),
        (CLEAN._replace(override="open", override_until=NOW, **HELD), Admission(REFUSE, "hold", 5.0)),
        (CLEAN._replace(override="closed", **HELD), Admission(ADMIT, "override", always=True)),
        (OPEN._replace(override="closed"), Admission(ADMIT, "override", always=True)),
        (ELAPSED._replace(override="closed"), Admission(CLAIM, "override", always=True)),
        (PROBING._replace(override="closed"), Admission(ADMIT, "override", always=True)),
        (
            OPEN._replace(override="shadow"),
            Admission(ADMIT, "override", always=True, shadowed=Admission(REFUSE, "state", 20.0)),
        ),
        (
            CLEAN._replace(override="shadow", **HELD),
            Admission(ADMIT, "override", always=True, shadowed=Admission(REFUSE, "hold", 5.0)),
        ),
        (ELAPSED._replace(override="shadow"), Admission(CLAIM, "override", always=True, shadowed=Admission(CLAIM))),
        (CLEAN._replace(override="shadow"), Admission(ADMIT, "override", always=True, shadowed=Admission(ADMIT))),
    ],
)
def test_admission_depends_on_the_override_the_hold_and_the_state(snapshot: Snapshot, expected: Admission) -> None:
    assert admission(snapshot) == expected
    assert admission(snapshot._replace(as_of=0.0), NOW) == expected
    refused = expected.shadowed is not None and expected.shadowed.action is REFUSE
    assert admission(snapshot).would_refuse is refused


@pytest.mark.parametrize(("since", "share"), [(-5.0, 0.1), (0.0, 0.1), (15.0, 0.55), (30.0, 1.0), (99.0, 1.0)], ids=str)
def test_a_ramp_grows_from_a_tenth_to_all(since: float, share: float) -> None:
    for start in ("closed_at", "hold_until"):
        began: dict[str, Any] = {start: NOW - since}
        snapshot = CLEAN._replace(**began)
        assert ramp_share(snapshot, 30.0) == pytest.approx(share)


def test_without_a_ramp_every_call_is_admitted() -> None:
    assert ramp_share(CLEAN._replace(closed_at=NOW), 0.0) == 1.0
    assert ramp_share(CLEAN, 30.0) == 1.0, "never closed by a probe, or reset since"
    assert ramp_share(CLEAN._replace(closed_at=NOW, override="closed"), 30.0) == 1.0


@pytest.mark.parametrize(
    ("snapshot", "state", "until"),
    [
        (OPEN, State.OPEN, 1020.0),
        (PROBING._replace(open_until=900.0), State.HALF_OPEN, 900.0),
        (CLEAN._replace(**HELD), State.OPEN, 1005.0),
        (CLEAN._replace(override="open", override_until=1030.0), State.OPEN, 1030.0),
        (CLEAN._replace(override="open"), State.OPEN, NOW + UNKNOWN_WAIT),
        (OPEN._replace(override="closed"), State.CLOSED, 0.0),
        (OPEN._replace(override="shadow"), State.CLOSED, 0.0),
        (OPEN._replace(override="closed", override_until=NOW), State.OPEN, 1020.0),
    ],
)
def test_effective_state_returns_a_state_with_the_same_effect_as_the_admission(
    snapshot: Snapshot, state: State, until: float
) -> None:
    assert effective_state(snapshot) == (state, until)


@pytest.mark.parametrize("override", ["", "open", "closed", "shadow"])
@pytest.mark.parametrize("override_until", [0.0, NOW - 1.0, NOW + 1.0])
@pytest.mark.parametrize("hold_until", [0.0, NOW, NOW + 5.0])
@pytest.mark.parametrize("snapshot", [CLEAN, OPEN, ELAPSED, PROBING, FREE])
def test_the_wait_of_an_open_circuit_is_that_of_its_admission(
    snapshot: Snapshot, hold_until: float, override_until: float, override: str
) -> None:
    steered = snapshot._replace(hold_until=hold_until, override=override, override_until=override_until)
    wait = open_wait(steered, NOW)
    assert wait <= 0.0 or admission(steered, NOW) == Admission(REFUSE, "state", wait)
    assert (wait == 20.0) is (snapshot is OPEN and override == "" and hold_until <= NOW)
