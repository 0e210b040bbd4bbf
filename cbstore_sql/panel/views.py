"""What a page of the list shows: which breakers, in which order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlencode

PAGE_SIZE = 100
"""Breakers on one page."""

SORTS = {"worst": "worst first", "name": "by name", "failures": "most failures first", "changed": "last failure first"}
FILTERS = ("", "open", "half_open", "closed", "override")
_LAST_PAGE = 100_000


@dataclass(frozen=True, slots=True)
class View:
    """One page of the list, or one breaker.

    Attributes:
        text: Only breakers whose name or namespace has this in it, in upper or lower case; ``""`` for all.
        state: Only those in this state, or those with an override; ``""`` for all.
        sort: A key of `SORTS`.
        page: Which page, from 1.
        exact: Only the breaker of this namespace and name.
    """

    text: str = ""
    state: str = ""
    sort: str = "worst"
    page: int = 1
    exact: tuple[str, str] | None = None

    @classmethod
    def of(cls, query: Mapping[str, str]) -> View:
        """Read a query; what makes no sense is left out."""
        if "name" in query:
            return cls(exact=(query.get("namespace", ""), query["name"]))
        number = query.get("page", "")
        page = int(number) if number.isascii() and number.isdecimal() else 1
        return cls(
            text=query.get("q", "").strip()[:200],
            state=query.get("state", "") if query.get("state") in FILTERS else "",
            sort=query.get("sort", "worst") if query.get("sort") in SORTS else "worst",
            page=max(1, min(page, _LAST_PAGE)),
        )

    def query(self, **changes: object) -> str:
        """Return the query string of this view, with some fields changed."""
        view = replace(self, **changes)  # type: ignore[arg-type] # the fields of this class
        if view.exact is not None:
            return urlencode({"namespace": view.exact[0], "name": view.exact[1]})
        given = {"q": view.text, "state": view.state, "sort": view.sort, "page": view.page}
        usual = {"q": "", "state": "", "sort": "worst", "page": 1}
        return urlencode({key: value for key, value in given.items() if value != usual[key]})
