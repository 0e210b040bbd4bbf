"""Runs the steps of a controller with given answers in place of a store."""

from __future__ import annotations

from typing import Any

from cbstore_sql.stores.call import StoreCalls


def answered(steps: StoreCalls[Any], *answers: Any) -> Any:
    """Run steps with these answers and errors. The steps must make exactly as many store calls as there are answers."""
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
