"""A store's part in the steps of a controller, played by hand."""

from __future__ import annotations

from typing import Any

from cbstore_sql.breaker.flow import StoreCalls


def answered(steps: StoreCalls[Any], *answers: Any) -> Any:
    """Carry steps out with these answers, errors among them; the steps must ask exactly as often."""
    left = list(answers)
    try:
        next(steps)
        while left:
            answer = left.pop(0)
            _ = steps.throw(answer) if isinstance(answer, Exception) else steps.send(answer)
    except StopIteration as done:
        assert not left, "asked less often"
        return done.value
    raise AssertionError("asked more often")
