"""Draw the state machine from the rules: ``python docs/_site/diagram.py`` writes ``docs/state_machine.svg``.

The script runs each operation on breakers in each state, in the situations that decide what it does. An arrow of the
picture is a change that one of them made. A test compares the picture with the rules.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path

from cbstore_sql.core import commands
from cbstore_sql.core.commands import Command
from cbstore_sql.core.model import Permit, Row
from cbstore_sql.core.policy import BreakerPolicy

TARGET = Path(__file__).parents[1] / "state_machine.svg"

_NOW = 1_000_000.0
_POLICY = BreakerPolicy(failure_threshold=2, success_threshold=2)

Arrows = Mapping[tuple[str, str], list[str]]


def _rows() -> Iterator[Row]:
    """Yield breakers in every state, due and not due, one report before a change and further away."""
    for count, successes, due in product((0, 1), (0, 1), (True, False)):
        deadline = _NOW - 1.0 if due else _NOW + 60.0
        yield Row(failure_count=count)
        yield Row(state="open", failure_count=count, open_until=deadline)
        yield Row(state="half_open", success_count=successes, probe_token="owner", probe_until=deadline)


def _commands(row: Row) -> Iterator[Command]:
    permit = Permit("b", row.generation, row.probe_token)
    yield commands.claim_probe("b", _POLICY, "me", _NOW)
    yield commands.record_failure(permit, _POLICY, 1, _NOW, 0.0)
    yield commands.record_success(permit, _POLICY, None, _NOW)
    yield commands.force_open("b", 60.0, _NOW)
    yield commands.reset("b", _NOW)
    if permit.is_probe:
        yield commands.release_probe(permit, _NOW)


def arrows() -> Arrows:
    """Return for each pair of states the operations that lead from the one to the other."""
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row in _rows():
        for command in _commands(row):
            after = command.apply_to(row, _NOW)
            changes_hands = after is not None and after.probe_token != row.probe_token
            if after is not None and (after.state != row.state or (changes_hands and row.state == "half_open")):
                found[row.state, after.state].add(command.operation)
    return {pair: sorted(operations) for pair, operations in sorted(found.items())}


# Where each state and each label stands; x and y of the middle.
_STATES = {"closed": (110, 150), "open": (650, 150), "half_open": (380, 330)}
_PATHS = {
    ("closed", "open"): ("M170 135 L582 135", (380, 105)),
    ("open", "closed"): ("M582 165 L172 165", (380, 185)),
    ("open", "half_open"): ("M650 178 Q640 320 456 330", (686, 300)),
    ("half_open", "open"): ("M450 310 Q560 290 610 180", (470, 248)),
    ("half_open", "closed"): ("M304 330 Q120 320 110 180", (110, 325)),
    ("half_open", "half_open"): ("M350 358 Q380 410 410 358", (380, 412)),
}
_STYLE = """
    text { font: 14px sans-serif; fill: #222; text-anchor: middle }
    .state { font-weight: bold } rect { fill: #fff; stroke: #456; stroke-width: 2; rx: 10 }
    path { fill: none; stroke: #456; stroke-width: 1.5; marker-end: url(#tip) }
    #tip path { fill: #456; marker-end: none }
    @media (prefers-color-scheme: dark) {
      text { fill: #ddd } rect { fill: #1e2129; stroke: #9ab } path { stroke: #9ab } #tip path { fill: #9ab }
    }
"""


def _label(operations: list[str], x: int, y: int) -> str:
    lines = "".join(
        f'<tspan x="{x}" dy="{0 if number == 0 else 17}">{name}</tspan>' for number, name in enumerate(operations)
    )
    return f'<text x="{x}" y="{y}">{lines}</text>'


def draw(found: Arrows) -> str:
    """Return the picture as SVG.

    Raises:
        KeyError: The rules make a change that the picture has no place for.
    """
    parts = [
        f'<path d="{_PATHS[pair][0]}"/>{_label(operations, *_PATHS[pair][1])}' for pair, operations in found.items()
    ]
    for name, (x, y) in _STATES.items():
        parts.append(f'<rect x="{x - 62}" y="{y - 24}" width="124" height="48"/>')
        parts.append(f'<text class="state" x="{x}" y="{y + 5}">{name}</text>')
    tip = '<marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8" orient="auto">'
    head = f'<defs><style>{_STYLE}</style>{tip}<path d="M0 0 L10 5 L0 10 z"/></marker></defs>'
    body = "\n".join([head, *parts])
    title = "<title>The states of a circuit and the operations that change them</title>"
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="20 60 720 400" role="img">\n{title}\n{body}\n</svg>\n'


if __name__ == "__main__":
    TARGET.write_text(draw(arrows()), encoding="utf-8")
