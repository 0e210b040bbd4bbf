from __future__ import annotations

import pytest

from cbstore_sql.core.wording import duration, holder, moment, parse_duration, printable


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 s"),
        (0.25, "0.2 s"),
        (9.94, "9.9 s"),
        (12.3, "12 s"),
        (59.99, "1 min"),
        (90.0, "1 min 30 s"),
        (3599.9, "1 h"),
        (5400.0, "1 h 30 min"),
        (7200.0, "2 h"),
        (86399.0, "1 d"),
        (259_190.0, "3 d"),
        (93_600.0, "1 d 2 h"),
    ],
)
def test_a_duration_is_written_in_its_largest_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("10m", 600), ("10min", 600), ("1h30m", 5400), ("2d", 172_800), ("1w", 604_800), ("0.5s", 0.5)],
)
def test_a_duration_with_a_unit_is_parsed(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "10", "m", "-5s", "10 m", "1e3s", "1h30", "٣s", "5 minutes"])
def test_an_invalid_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="such as 10m"):
        parse_duration(text)


def test_a_token_without_a_random_end_is_shown_completely() -> None:
    assert holder("api-1/77/f00d") == "api-1/77"
    assert holder("foreign") == "foreign"


def test_moment_returns_none_for_0_and_limits_far_times_to_the_year_9999() -> None:
    assert moment(0.0) is None
    far = moment(1e12)
    assert far is not None
    assert far.year == 9999


def test_control_characters_are_escaped() -> None:
    assert printable("a\nb\x1b\\") == r"a\nb\x1b\\"
    assert printable("") == "''"
