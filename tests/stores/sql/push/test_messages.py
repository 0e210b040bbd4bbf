"""Tests of the notifications: their length, and which breakers are read because of them."""

from __future__ import annotations

import pytest

from cbstore_sql import (
    ConfigurationError,
)
from cbstore_sql.stores.sql.push.channel import channel_of, digest_of, newer_names


@pytest.mark.parametrize(
    ("payloads", "names"),
    [
        ([f"{digest_of('n', 'a')} 4"], ["a"]),
        ([f"{digest_of('n', 'a')} 3"], []),
        ([f"{digest_of('n', 'a')} 4", f"{digest_of('n', 'a')} 2"], ["a"]),
        ([f"{digest_of('m', 'a')} 4", f"{digest_of('n', 'x')} 4"], []),
        (["", "x", f"{digest_of('n', 'a')} x", f"{digest_of('n', 'a')} ²", "9" * 7000], []),
        ([f"{digest_of('n', 'a')} 4", f"{digest_of('n', 'b')} 1"], ["a", "b"]),
    ],
)
def test_only_breakers_in_use_with_a_newer_generation_are_read(payloads: list[str], names: list[str]) -> None:
    assert newer_names(payloads, "n", {"a": 3, "b": 0, "c": 7}) == names


def test_channel_and_payload_fit_postgresql_s_limits_for_every_name(migrated_postgres_url: str) -> None:
    assert len(channel_of("s" * 63)) <= 63
    assert channel_of("cbstore") == "cbstore_cbstore"
    assert len(digest_of("n" * 512, "ü" * 256)) == 24
    with pytest.raises(ConfigurationError):
        channel_of('s"; DROP')
