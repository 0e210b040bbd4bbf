"""The truth tables of the state machine, written by hand: parity between backends cannot catch a wrong rule.

Each line is one state, one event and one condition, with everything the operation changes. Columns that a line does not
name must stay as they were, and ``None`` means that nothing may happen. The history has its own table in
``test_history.py``; here every line checks that it grows exactly if the state or the override changes.
"""

from __future__ import annotations

from typing import Any

from cbstore_sql.core.commands import Command
from cbstore_sql.core.model import Permit, Row
from cbstore_sql.core.policy import BreakerPolicy

NOW = 1000.0
POLICY = BreakerPolicy(failure_threshold=3, recovery_timeout=60.0, probe_lease=30.0)

CLEAN = Row()
DIRTY = Row(failure_count=2, last_failure_time=990.0, generation=4)
OPEN = Row("open", "closed", 5, 3, 0, 950.0, 1010.0, 60.0)
ELAPSED = OPEN._replace(open_until=1000.0)
PROBING = Row("half_open", "open", 6, 3, 0, 900.0, 960.0, 60.0, "owner", 1020.0)
LAPSED = PROBING._replace(probe_until=1000.0)
FREE = PROBING._replace(probe_token="", probe_until=0.0)

OWNER = Permit("b", 6, "owner")
EARLIER_OWNER = Permit("b", 5, "owner")
SAME_GENERATION_OTHER_TOKEN = Permit("b", 6, "other")
UNOWNED = Permit("b", 6)

Expected = dict[str, Any] | None


def check(row: Row, command: Command, expected: Expected) -> None:
    after = command.apply_to(row, NOW)
    if expected is None:
        assert after is None
    else:
        assert after is not None
        before = {**row._asdict(), "previous_state": row.state}
        changed = {column: value for column, value in after._asdict().items() if value != before[column]}
        is_transition = changed.keys() & {"state", "override", "override_until", "override_reason"}
        assert (changed.pop("history", None) is not None) == bool(is_transition)
        assert changed == expected
