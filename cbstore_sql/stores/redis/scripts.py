"""The texts of the Lua scripts. Each script is the file of an operation and the code that all scripts share.

The file of an operation mirrors the operation's rule in ``rules.py``, name by name. A test translates the rules into
Lua and compares the result with the files.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from cbstore_sql.core import history, rules
from cbstore_sql.core.model import ANSWER_COLUMNS, COLUMNS, OVERRIDES, STATES
from cbstore_sql.stores.redis import codec

READ = "read"

_CONSTANTS = {
    "CLOSED": rules.CLOSED,
    "OPEN": rules.OPEN,
    "HALF_OPEN": rules.HALF_OPEN,
    "UNFENCED": rules.UNFENCED,
    "ANY_STATE": rules.ANY_STATE,
    "KEEP": rules.KEEP,
    "BY_COUNT": rules.BY_COUNT,
    "BY_SCORE": rules.BY_SCORE,
    "TRIP_AT": rules.TRIP_AT,
    **{name: value for name, value in vars(history).items() if isinstance(value, str) and value in history.CAUSES},
    "HISTORY_LENGTH": history.HISTORY_LENGTH,
    "FOREIGN_TOKEN": codec.FOREIGN_TOKEN,
    "NO_KNOWN_END": codec.NO_KNOWN_END,
    "GRACE": codec.GRACE,
    "ADDS": codec.ADDS,
    "COLUMNS": COLUMNS,
    "ANSWER_COLUMNS": ANSWER_COLUMNS,
    "STATES": dict.fromkeys(STATES, True),
    "OVERRIDES": dict.fromkeys(OVERRIDES, True),
    "TEXT_FIELDS": codec.TEXTS,
    "STATE_FIELDS": dict.fromkeys(codec.STATE_FIELDS, True),
    "INTEGER_FIELDS": dict.fromkeys(codec.INTEGER_FIELDS, True),
    "LARGEST": codec.LARGEST,
}


@cache
def script(operation: str) -> str:
    """Return the complete Lua script of an operation: constants, shared functions and the rule of the operation.

    Args:
        operation: `READ` or a key of `rules.OPERATIONS`.
    """
    constants = "\n".join(f"local {name} = {_literal(value)}" for name, value in _CONSTANTS.items())
    return "\n".join([constants, *(source(name) for name in ("_hash", "_rules", operation))])


def source(name: str) -> str:
    """Read one of this package's Lua files and return its text.

    Args:
        name: The name of the file, without ``.lua``.
    """
    return (files(__package__) / "lua" / f"{name}.lua").read_text(encoding="utf-8")


def _literal(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_literal(item)}" for key, item in value.items()) + "}"
    if isinstance(value, tuple):
        return "{" + ", ".join(_literal(item) for item in value) + "}"
    if isinstance(value, str):
        return f'"{value}"'
    return "true" if value is True else repr(value)
