"""The clock of the scripts, run by the server with another answer of ``TIME``."""

from __future__ import annotations

import pytest
import redis

from cbstore_sql.stores.redis.scripts import source


@pytest.mark.parametrize(
    ("seconds", "microseconds", "written"),
    [
        ("1700000000", "0", "1700000000.000000"),
        ("1700000000", "5", "1700000000.000005"),
        ("1700000000", "99999", "1700000000.099999"),
        ("1700000000", "999999", "1700000000.999999"),
    ],
)
def test_the_clock_of_a_script_keeps_the_zeros_of_the_microseconds(
    redis_url: str, seconds: str, microseconds: str, written: str
) -> None:
    time = f'{{"{seconds}", "{microseconds}"}}'
    told = f"local redis = {{call = function() return {time} end}}\n{source('_answer')}"
    script = f"{told}\nlocal now, written = clock()\nreturn {{written, string.format('%.6f', now)}}"
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        assert client.eval(script, 0) == [written, written]
