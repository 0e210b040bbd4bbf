"""``cbstore replay``: run recorded calls through several policies and recommend a policy."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from cbstore_sql.cli import add_command, exit_codes, say
from cbstore_sql.errors import ConfigurationError

if TYPE_CHECKING:
    from cbstore_sql.cli import Subparsers
    from cbstore_sql.core.policy import BreakerPolicy
    from cbstore_sql.replay.advice import Candidate
    from cbstore_sql.replay.log import LoggedCall
    from cbstore_sql.replay.outages import Health


_DETAILS = """\
Each line of LOG is a JSON object:

  {"time": 1764251400.125, "outcome": "failure", "seconds": 2.001, "process": "web-1/4711"}

time is when the call ended, in Unix seconds; outcome is success, failure or none; process may be left out, and so may
name. A listener writes such a log: CircuitBreaker(..., listeners=[CallLog("calls.jsonl")]). Needs no database."""


def register(subparsers: Subparsers) -> None:
    """Add the parser of ``cbstore replay``, which recommends a policy for the calls of a log.

    Args:
        subparsers: The subparsers of ``cbstore``.
    """
    parser = add_command(
        subparsers,
        "replay",
        "run a log of calls through policies and recommend one",
        examples=(
            "cbstore replay calls.jsonl",
            "cbstore replay calls.jsonl --name payments --recovery-timeout 60 --slow-after 2",
        ),
        details=_DETAILS,
    )
    parser.add_argument("log", metavar="LOG", help='JSON lines with time, outcome and seconds; "-" reads stdin')
    parser.add_argument("--name", help="only the calls of this breaker (default: all of the log)")
    parser.add_argument("--recovery-timeout", type=float, default=30.0, metavar="SECONDS", help="default: 30")
    parser.add_argument("--slow-after", type=float, metavar="SECONDS", help="a longer call counts as failed")
    parser.add_argument("--ramp-up", type=float, default=0.0, metavar="SECONDS", help="default: 0, none")
    parser.add_argument("--json", action="store_true", help="one object instead of a table")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the calls of a log through several policies, and print a table of the results and the recommended policy.

    Args:
        arguments: The parsed arguments of ``cbstore replay``.

    Returns:
        The exit code 0.

    Raises:
        ConfigurationError: The log cannot be read, a line of the log is not a call, or the log has no call.
        InvalidPolicyError: A time in the options is out of range.
    """
    from cbstore_sql.core.policy import BreakerPolicy
    from cbstore_sql.replay import advice
    from cbstore_sql.replay.engine import replay_alone
    from cbstore_sql.replay.outages import health_of

    base = BreakerPolicy(
        recovery_timeout=arguments.recovery_timeout, slow_after=arguments.slow_after, ramp_up=arguments.ramp_up
    )
    calls = _read(arguments.log, arguments.name)
    health = health_of(calls, base.slow_after)
    normal = advice.normal_for(health)
    found = advice.compare(calls, advice.candidates(base, normal), health)
    choice = advice.best(found, normal)
    alone = None
    if len({call.process for call in calls}) > 1:
        result = replay_alone(calls, choice.policy, health.outages)
        alone = advice.Candidate(f"{choice.label}, each process alone", choice.policy, result)
    if arguments.json:
        say(json.dumps(_described(calls, health, found, choice, alone), indent=2))
    else:
        _print(calls, health, found, choice, alone)
    return exit_codes.OK


def _read(path: str, name: str | None) -> list[LoggedCall]:
    from cbstore_sql.replay.log import parse_log

    if path == "-":
        return parse_log(sys.stdin, name=name)
    try:
        with open(path, encoding="utf-8") as lines:
            return parse_log(lines, name=name)
    except OSError as error:
        raise ConfigurationError(f"the log {path!r} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"the log {path!r} is not UTF-8 text") from None


def _described(
    calls: Sequence[LoggedCall], health: Health, found: Sequence[Candidate], choice: Candidate, alone: Candidate | None
) -> dict[str, Any]:
    return {
        "calls": len(calls),
        "processes": len({call.process for call in calls}),
        "failure_rate": health.failure_rate,
        "worst_rate": health.worst_rate,
        "outages": [outage._asdict() for outage in health.outages],
        "policies": [_row(candidate) for candidate in found],
        "each_process_alone": None if alone is None else _row(alone),
        "recommended": {"write": _written(choice), "policy": asdict(choice.policy)},
    }


def _row(candidate: Candidate) -> dict[str, Any]:
    result = candidate.result
    return {
        "policy": candidate.label,
        **result._asdict(),
        "detections": [found._asdict() for found in result.detections],
        "missed": result.missed,
        "calls_lost": result.calls_lost,
    }


_HEADINGS = ("policy", "calls lost", "sent in vain", "refused in vain", "false alarms", "time to open", "missed")


def _print(
    calls: Sequence[LoggedCall], health: Health, found: Sequence[Candidate], choice: Candidate, alone: Candidate | None
) -> None:
    processes = len({call.process for call in calls})
    seconds = calls[-1].ended - calls[0].began
    say(f"{len(calls)} calls of {processes} processes in {seconds:.0f} s; {len(health.outages)} outages")
    for outage in health.outages:
        length = outage.ended - outage.began
        say(f"  {length:.1f} s from {outage.began:.3f}: {outage.failures} of {outage.calls} calls failed")
    say(f"outside outages {health.failure_rate:.2%} of calls fail; of the worst 300 in a row {health.worst_rate:.1%}")
    say("")
    rows = [_HEADINGS, *(_cells(candidate) for candidate in [*found, *([alone] if alone else [])])]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    for row in rows:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        say("  ".join(cells).rstrip())
    say("")
    say(f"recommended: {_written(choice)}")


def _cells(candidate: Candidate) -> tuple[str, ...]:
    result = candidate.result
    times = [found.seconds for found in result.detections if found.seconds is not None]
    opening = f"{sum(times) / len(times):.2f} s" if times else "-"
    return (
        candidate.label,
        str(result.calls_lost),
        str(result.failed),
        str(result.refused_good),
        str(result.false_alarms),
        opening,
        f"{result.missed} of {len(result.detections)}",
    )


def _written(choice: Candidate) -> str:
    policy: BreakerPolicy = choice.policy
    parts = [choice.label, f"recovery_timeout={policy.recovery_timeout:g}"]
    if policy.slow_after is not None:
        parts.append(f"slow_after={policy.slow_after:g}")
    if policy.ramp_up:
        parts.append(f"ramp_up={policy.ramp_up:g}")
    return f"BreakerPolicy({', '.join(parts)})"
