"""The texts of the Lua scripts. Each script is the file of an operation and the code that all scripts share.

The file of an operation mirrors the operation's rule in ``rules.py``, name by name. A test translates the rules into
Lua and compares the result with the files.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha1
from importlib.resources import files

from cbstore_sql.core import history, rules
from cbstore_sql.core.model import Row
from cbstore_sql.stores.redis import codec

READ = "read"

_LIVES = ("ttl", "probe_ttl", "adds")

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
    "ABSENT": -2,
    "ENDLESS": -1,
    "DEFAULTS": Row()._asdict(),
}

# Each run of a script pays for each local variable that a function uses, so constants are written in place.
_CONSTANT = re.compile(rf"\b({'|'.join(_CONSTANTS)})\b")

_HELPER = re.compile(r"^(local function (\w+).*?^end)$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Script:
    """A Lua script, with the name by which a Redis server that has loaded it can run it.

    Attributes:
        text: The whole text of the script, as the client sends it to the server.
        digest: The name of the script: the SHA-1 of the text, in hexadecimal.
        numbers: The names of the rule's parameters that are numbers. The first argument of the script holds the
            numbers in this order, with spaces between them, then ttl, half_open_probe_ttl, and 1 if the script may
            create a missing key. ``-`` stands for a number that is missing.
        texts: The names of the rule's parameters that are texts. The other arguments of the script are these texts.
    """

    text: bytes
    digest: str
    numbers: tuple[str, ...]
    texts: tuple[str, ...]


@cache
def script(operation: str) -> Script:
    """Return the complete Lua script of an operation: constants, shared functions and the rule of the operation.

    Args:
        operation: `READ` or a key of `rules.OPERATIONS`.
    """
    parameters = () if operation == READ else rules.OPERATIONS[operation].parameters
    numbers = tuple(name for name in parameters if name not in codec.TEXT_PARAMETERS)
    texts = tuple(name for name in parameters if name in codec.TEXT_PARAMETERS)
    # The server runs a script from its first line each time, so the script of a read has nothing else.
    parts = [source("_answer"), source(READ)] if operation == READ else _parts(operation, numbers, texts)
    text = "\n".join(parts).encode()
    return Script(text, sha1(text, usedforsecurity=False).hexdigest(), numbers, texts)


def _parts(operation: str, numbers: Sequence[str], texts: Sequence[str]) -> list[str]:
    sources = (source("_answer"), source("_hash"), *_helpers(operation), source(operation))
    return [*_TABLES, *(_CONSTANT.sub(_value, text) for text in sources), *_run(operation, numbers, texts)]


def _helpers(operation: str) -> list[str]:
    """Return the helpers of the rules that the rule of an operation uses, since each run pays for each function."""
    return [text for text, name in _HELPER.findall(source("_rules")) if f"{name}(" in source(operation)]


def _value(found: re.Match[str]) -> str:
    return _literal(_CONSTANTS[found[0]])


def _run(operation: str, numbers: Sequence[str], texts: Sequence[str]) -> list[str]:
    """Return the last lines of a script: run the rule with the arguments of the script."""
    names = (*numbers, *_LIVES)
    pattern = " ".join(["(%S+)"] * len(names))
    # Only the moment may be missing. Adding 0 makes a number of a text, for half the price of `tonumber`.
    given = [f"{name} = tonumber(now)" if name == "now" else f"{name} = {name} + 0" for name in numbers]
    given += [f"{name} = ARGV[{place}]" for place, name in enumerate(texts, 2)]
    # A count alone never takes time from the key.
    only_prolongs = _literal(operation == "increment_failure")
    return [
        f'local {", ".join(names)} = string.match(ARGV[1], "^{pattern}$")',
        f"return apply({operation}, {{{', '.join(given)}}}, {', '.join(_LIVES)}, {only_prolongs})",
    ]


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


_TABLES = tuple(
    f"local {name} = {_literal(value)}"
    for name, value in (
        ("LARGEST", dict(codec.LARGEST)),
        ("INTEGER_FIELDS", dict.fromkeys(codec.INTEGER_FIELDS, True)),
    )
)
