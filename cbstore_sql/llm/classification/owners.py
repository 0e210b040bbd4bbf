"""The package of an exception class: the application, another dependency, or an HTTP client or SDK."""

from __future__ import annotations

from cbstore_sql.llm.classification.safe import attribute, words

_OTHER_DEPENDENCIES = words(
    """redis sqlalchemy psycopg psycopg2 psycopg_pool asyncpg aiosqlite sqlite3 pymysql aiomysql pymongo motor
    celery kombu pika aio_pika aiokafka kafka confluent_kafka nats elasticsearch opensearchpy"""
)
"""Packages that a call may also use. A failure of one of these packages says nothing about the model's API."""

CLIENTS = words(
    """httpx httpx2 httpcore httpcore2 h11 h2 aiohttp requests urllib3 urllib http botocore websockets google grpc
    openai anthropic groq mistralai cohere"""
)
"""The names of the top-level packages of HTTP clients and SDKs."""

PYTHON = frozenset({"builtins", "asyncio", "concurrent", "socket", "ssl"})


def is_of_another_dependency(error: BaseException) -> bool:
    """Return whether an exception comes from a database, a cache or a message broker."""
    return root_of(type(error)) in _OTHER_DEPENDENCIES


def is_of_the_application(error: BaseException) -> bool:
    """Return whether the class of an exception belongs to neither Python nor a known HTTP client or SDK.

    The class then comes from the application, a web framework or a gateway library.
    """
    return root_of(type(error)) not in CLIENTS | PYTHON


def root_of(kind: type) -> str:
    """Return the name of the top-level package that defines a class."""
    return str(attribute(kind, "__module__")).partition(".")[0]
