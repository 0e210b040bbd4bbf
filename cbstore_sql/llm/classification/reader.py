"""What the readers of the providers have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from cbstore_sql.llm.classification.evidence import normalized
from cbstore_sql.llm.classification.form import FailureCategory

Codes = Mapping[str, FailureCategory]


class Reading(NamedTuple):
    """What a provider's reader makes of an error.

    Attributes:
        category: ``None`` leaves it to the codes and the status.
        wait: Seconds that the body asks for.
    """

    category: FailureCategory | None
    wait: float | None = None


def table(codes: Mapping[FailureCategory, str]) -> Codes:
    """Make a table of codes, listed by category and separated by white space, by their normalized names."""
    return {normalized(code): category for category, listed in codes.items() for code in listed.split()}
