"""The texts of the Lua scripts. Each script is the file of an operation and the code that all scripts share.

The file of an operation mirrors the operation's rule in ``rules.py``, name by name. A test translates the rules into
Lua and compares the result with the files.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cache
from hashlib import sha1
from importlib.resources import files

from cbstore_sql.core import history, rules
from cbstore_sql.core.model import Row
from cbstore_sql.stores.redis import codec

READ = "read"

_CONSTANTS = {
    "CLOSED": rules.CLOSED,
    "OPEN": rules.OPEN,
    "HALF_OPEN": rules.HALF_OPEN,
    "SHADOW": rules.SHADOW,
    "UNFENCED": rules.UNFENCED,
    "ANY_STATE": rules.ANY_STATE,
    "KEEP": rules.KEEP,
    "BY_COUNT": rules.BY_COUNT,
    "BY_SCORE": rules.BY_SCORE,
    **{name: value for name, value in vars(history).items() if isinstance(value, str) and value in history.CAUSES},
    "HISTORY_LENGTH": history.HISTORY_LENGTH,
    "FOREIGN_TOKEN": codec.FOREIGN_TOKEN,
    "NO_KNOWN_END": codec.NO_KNOWN_END,
    "GRACE": codec.GRACE,
    "ADDS": codec.ADDS,
    "DEFAULTS": asdict(Row()),
    "INTEGER_FIELDS": dict.fromkeys(codec.INTEGER_FIELDS, True),
    "LARGEST": codec.LARGEST,
}


@dataclass(frozen=True, slots=True)
class Script:
    """A Lua script, with the name by which a Redis server that has loaded it can run it.

    Attributes:
        text: The whole text of the script, as the client sends it to the server.
        digest: The name of the script: the SHA-1 of the text, in hexadecimal.
    """

    text: bytes
    digest: str


@cache
def script(operation: str) -> Script:
    """Return the complete Lua script of an operation: constants, shared functions and the rule of the operation.

    Args:
        operation: `READ` or a key of `rules.OPERATIONS`.
    """
    text = "\n".join(_parts(operation)).encode()
    return Script(text, sha1(text, usedforsecurity=False).hexdigest())


def _parts(operation: str) -> list[str]:
    if operation == READ:
        # The server runs a script from its first line each time, so the script of a read has nothing else.
        return [source("_clock"), source(READ)]
    constants = [f"local {name} = {_literal(value)}" for name, value in _CONSTANTS.items()]
    return [*constants, *(source(name) for name in ("_clock", "_hash", "_rules", operation)), _run(operation)]


def _run(operation: str) -> str:
    """Return the last statement of a script: run the rule with the arguments of the script."""
    parameters = rules.OPERATIONS[operation].parameters
    given = ", ".join(
        f"{name} = ARGV[{place}]" if name in codec.TEXT_PARAMETERS else f"{name} = tonumber(ARGV[{place}])"
        for place, name in enumerate(parameters, 1)
    )
    # A count alone never takes time from the key.
    only_prolongs = _literal(operation == "increment_failure")
    return f"return apply({operation}, {{{given}}}, {len(parameters)}, {only_prolongs})"


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
    return str(value).lower() if isinstance(value, bool) else repr(value)
