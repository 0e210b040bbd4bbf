"""Whose an exception is: the application's, another dependency's, or a client's."""

from __future__ import annotations

from cbstore_sql.llm.classification.safe import attribute, words

_OTHER_DEPENDENCIES = words(
    """redis sqlalchemy psycopg psycopg2 psycopg_pool asyncpg aiosqlite sqlite3 pymysql aiomysql pymongo motor
    celery kombu pika aio_pika aiokafka kafka confluent_kafka nats elasticsearch opensearchpy"""
)
"""A call may use these too. When they fail, the model's API is not to blame."""

CLIENTS = words(
    """httpx httpx2 httpcore httpcore2 h11 h2 aiohttp requests urllib3 urllib http botocore websockets google grpc
    openai anthropic groq mistralai cohere"""
)
"""HTTP clients and SDKs, by the roots of their modules."""

PYTHON = frozenset({"builtins", "asyncio", "concurrent", "socket", "ssl"})


def is_of_another_dependency(error: BaseException) -> bool:
    """Whether an exception comes from a database, a cache or a broker."""
    return root_of(type(error)) in _OTHER_DEPENDENCIES


def is_of_the_application(error: BaseException) -> bool:
    """Whether an exception's class is not a client's: the application's, a framework's, a gateway library's."""
    return root_of(type(error)) not in CLIENTS | PYTHON


def root_of(kind: type) -> str:
    """Return the root of the module that defines a class."""
    return str(attribute(kind, "__module__")).partition(".")[0]
