"""The tables of the panel: breakers, facts and history."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from urllib.parse import urlencode

from cbstore_sql.core.explanation import CAUSE_WORDS, is_forced
from cbstore_sql.core.history import HistoryEntry
from cbstore_sql.core.model import Snapshot, State
from cbstore_sql.core.wording import duration, holder, iso, moment, printable
from cbstore_sql.panel.html import Markup, join, tag
from cbstore_sql.panel.source import Entry, Page

_LABELS = {State.OPEN: "open", State.HALF_OPEN: "half open", State.CLOSED: "closed"}

# A sparkline has one bar for each time between two transitions. A longer time has a wider bar.
_WIDTH, _HEIGHT = 96, 16
_NARROWEST = 4
_HEIGHTS = {State.CLOSED: 4, State.HALF_OPEN: 10, State.OPEN: 16}


def breakers_table(prefix: str, page: Page) -> Markup:
    """Return the table of breakers for the list page.

    Args:
        prefix: The path at which the panel is mounted, for the links.
        page: The breakers to show.
    """
    if not page.entries:
        return tag("p", "No breaker matches. One that never failed is not in the store.", class_="empty")
    columns = {
        "Breaker": None,
        "State": None,
        "Failures": None,
        "Next": None,
        "Last changes": "wide",
        "Last failure": "wide",
    }
    head = tag("tr", [tag("th", column, scope="col", class_=kind) for column, kind in columns.items()])
    rows = [_row(prefix, entry) for entry in page.entries]
    caption = tag("caption", "Breakers", class_="hidden")
    return tag("table", caption, tag("thead", head), tag("tbody", rows), class_="breakers")


def state_badge(snapshot: Snapshot) -> Markup:
    """Return the breaker's state as a coloured word, with a mark if the circuit opened without failures.

    Args:
        snapshot: The breaker's state.
    """
    forced = " (forced)" if is_forced(snapshot) else ""
    return tag("span", f"{_LABELS[snapshot.state]}{forced}", class_=f"state {snapshot.state.value}")


def override_words(snapshot: Snapshot) -> Markup:
    """Return the breaker's active override (an operator's lock) in words, or an empty text if no override is active."""
    mode = snapshot.active_override
    if not mode:
        return Markup("")
    until = f", {duration(snapshot.override_until - snapshot.as_of)} left" if snapshot.override_until else ""
    label = "shadow" if mode == "shadow" else f"locked {mode}"
    who = f"by {printable(snapshot.override_by)}: {printable(snapshot.override_reason)}"
    return tag("span", f"{label}{until}", class_="state override", title=who)


def facts(snapshot: Snapshot) -> Markup:
    """Return the stored values of a breaker as an HTML list with readable labels.

    Args:
        snapshot: The breaker's state.
    """
    pairs = [
        ("Failures in a row", str(snapshot.failure_count)),
        ("Score", f"{snapshot.score:.0%} of the limit" if snapshot.score else "0"),
        ("Last failure", _when(snapshot.last_failure_time, snapshot.as_of)),
        ("Next", next_words(snapshot)),
        ("Probe", printable(holder(snapshot.probe_token)) if snapshot.probe_active else "free"),
        ("Successful probes", str(snapshot.success_count)),
        ("Generation", str(snapshot.generation)),
    ]
    if snapshot.active_override:
        pairs.append(("Override by", printable(snapshot.override_by)))
        pairs.append(("Reason", printable(snapshot.override_reason)))
    return tag("dl", [(tag("dt", label), tag("dd", text)) for label, text in pairs], class_="facts")


def history_table(entry: Entry) -> Markup:
    """Return the HTML table of a breaker's last changes, the latest change first.

    Args:
        entry: The breaker, with its history.
    """
    if not entry.history:
        return tag("p", "No change is remembered.", class_="empty")
    columns = {"When": None, "From": "wide", "To": None, "Why": None, "By": None}
    head = tag("tr", [tag("th", column, scope="col", class_=kind) for column, kind in columns.items()])
    rows = [
        tag(
            "tr",
            tag("td", tag("time", *_age_and_time(change.at, entry.snapshot.as_of), datetime=iso(change.at))),
            tag("td", _LABELS[change.previous_state], class_="wide"),
            tag("td", tag("span", _LABELS[change.state], class_=f"state {change.state.value}")),
            tag("td", CAUSE_WORDS[change.cause]),
            tag("td", printable(change.by) if change.by else ""),
        )
        for change in reversed(entry.history)
    ]
    caption = tag("caption", "Last changes")
    return tag("table", caption, tag("thead", head), tag("tbody", rows), class_="history")


def sparkline(history: Sequence[HistoryEntry], now: float) -> Markup:
    """Return a small picture of the breaker's states since the oldest change in the history.

    Args:
        history: The changes, the oldest first.
        now: The store's time, in Unix seconds.
    """
    changes = [change for change in history if change.previous_state is not change.state]
    if not changes:
        return tag("span", "-", class_="quiet")
    moments = [change.at for change in changes] + [max(now, changes[-1].at)]
    spans = [max(0.0, end - begin) for begin, end in pairwise(moments)]
    count = f"{len(changes)} changes" if len(changes) > 1 else "1 change"
    words = f"{count} in {duration(moments[-1] - moments[0])}, now {_LABELS[changes[-1].state]}"
    paths = [tag("path", d=outline, class_=state.value) for state, outline in _outlines(changes, spans).items()]
    size = f"0 0 {_WIDTH} {_HEIGHT}"
    return tag("svg", paths, viewBox=size, width=_WIDTH, height=_HEIGHT, role="img", aria_label=words)


def _outlines(changes: Sequence[HistoryEntry], spans: Sequence[float]) -> dict[State, str]:
    """Return one SVG path for each state, with one bar for each time that the breaker spent in the state.

    Args:
        changes: The changes of state, the oldest first.
        spans: The seconds that each new state lasted.
    """
    room, total = _WIDTH - _NARROWEST * len(spans), sum(spans) or 1.0
    outlines: dict[State, str] = {}
    at = 0
    for change, span in zip(changes, spans, strict=True):
        width, height = _NARROWEST + int(room * span / total), _HEIGHTS[change.state]
        bar = f"M{at} {_HEIGHT - height}h{width}v{height}h-{width}z"
        outlines[change.state] = outlines.get(change.state, "") + bar
        at += width
    return outlines


def next_words(snapshot: Snapshot) -> str:
    """Return in words what happens next to a breaker, or ``"-"`` if the circuit is closed and no hold is active.

    The words name the time until a hold ends (a ``Retry-After`` forbids calls), or the time until the next probe, or
    the time left to the current probe.
    """
    if snapshot.hold_until > snapshot.as_of:
        return f"held for {duration(snapshot.hold_until - snapshot.as_of)}"
    if snapshot.state is State.CLOSED:
        return "-"
    if snapshot.state is State.HALF_OPEN and snapshot.probe_active:
        return f"probe under way, {duration(snapshot.retry_after)} left"
    return f"probe in {duration(snapshot.retry_after)}" if snapshot.retry_after else "probe due"


def _row(prefix: str, entry: Entry) -> Markup:
    snapshot = entry.snapshot
    link = f"{prefix}/breaker?{urlencode({'namespace': entry.namespace, 'name': snapshot.name})}"
    count = f"{snapshot.failure_count}" if not snapshot.score else f"{snapshot.score:.0%}"
    return tag(
        "tr",
        tag(
            "th",
            tag("a", printable(snapshot.name), href=link),
            tag("small", printable(entry.namespace)),
            scope="row",
        ),
        tag("td", join((override_words(snapshot), " ", state_badge(snapshot)))),
        tag("td", count, class_="number"),
        tag("td", _next_with_owner(snapshot)),
        tag("td", sparkline(entry.history, snapshot.as_of), class_="wide"),
        tag("td", _when(snapshot.last_failure_time, snapshot.as_of, brief=True), class_="wide"),
    )


def _next_with_owner(snapshot: Snapshot) -> Markup:
    words = tag("span", next_words(snapshot))
    if snapshot.state is not State.HALF_OPEN or not snapshot.probe_active:
        return words
    return join((words, tag("small", printable(holder(snapshot.probe_token)))))


def _age_and_time(then: float, now: float) -> tuple[str, Markup]:
    time = moment(then)
    return f"{duration(max(0.0, now - then))} ago", tag("small", f"{time:%Y-%m-%d %H:%M:%S} UTC" if time else "never")


def _when(then: float, now: float, *, brief: bool = False) -> str:
    time = moment(then)
    if time is None:
        return "never"
    age = f"{duration(max(0.0, now - then))} ago"
    return age if brief else f"{age} ({time:%Y-%m-%d %H:%M:%S} UTC)"
