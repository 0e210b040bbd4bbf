"""Tests of what the owner of the probe can do without a verdict."""

from __future__ import annotations

import pytest

from cbstore_sql.core import commands
from cbstore_sql.core.model import Permit, Row
from tests.core.rules.rows import (
    DIRTY,
    EARLIER_OWNER,
    FREE,
    LAPSED,
    NOW,
    OPEN,
    OWNER,
    POLICY,
    PROBING,
    SAME_GENERATION_OTHER_TOKEN,
    Expected,
    check,
)


@pytest.mark.parametrize(
    ("row", "permit", "expected"),
    [
        pytest.param(
            PROBING, OWNER, {"generation": 7, "probe_token": "", "probe_until": 0.0}, id="the owner: free, no verdict"
        ),
        pytest.param(
            LAPSED, OWNER, {"generation": 7, "probe_token": "", "probe_until": 0.0}, id="late but not taken over"
        ),
        pytest.param(PROBING, EARLIER_OWNER, None, id="an earlier owner: no effect"),
        pytest.param(PROBING, SAME_GENERATION_OTHER_TOKEN, None, id="another life's owner: no effect"),
        pytest.param(FREE, OWNER, None, id="released before: no effect"),
        pytest.param(OPEN._replace(generation=6), OWNER, None, id="open: no effect"),
        pytest.param(DIRTY._replace(generation=6), OWNER, None, id="closed: no effect"),
        pytest.param(
            DIRTY._replace(generation=6, probe_token="owner"),
            OWNER,
            None,
            id="closed with its token left over: no effect",
        ),
    ],
)
def test_release_probe_gives_the_expected_row_for_each_state(row: Row, permit: Permit, expected: Expected) -> None:
    check(row, commands.release_probe(permit, NOW), expected)


@pytest.mark.parametrize(
    ("row", "permit", "expected"),
    [
        pytest.param(PROBING, OWNER, {"probe_until": 1030.0}, id="the owner: a full lease from now"),
        pytest.param(PROBING._replace(probe_until=1040.0), OWNER, {}, id="never shortened"),
        pytest.param(LAPSED, OWNER, {"probe_until": 1030.0}, id="run out but not taken over: still the owner's"),
        pytest.param(PROBING, EARLIER_OWNER, None, id="an earlier owner: lost"),
        pytest.param(PROBING, SAME_GENERATION_OTHER_TOKEN, None, id="another life's owner: lost"),
        pytest.param(FREE, OWNER, None, id="released before: lost"),
        pytest.param(OPEN._replace(generation=6), OWNER, None, id="open: lost"),
        pytest.param(DIRTY._replace(generation=6, probe_token="owner"), OWNER, None, id="closed: lost"),
    ],
)
def test_renew_probe_gives_the_expected_row_for_each_state(row: Row, permit: Permit, expected: Expected) -> None:
    check(row, commands.renew_probe(permit, POLICY, NOW), expected)
