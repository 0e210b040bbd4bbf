"""The real SDKs and HTTP clients without retries, and a server on this machine that gives prepared answers."""

from __future__ import annotations

import asyncio
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

MESSAGES: Any = [{"role": "user", "content": "hi"}]


class Said(NamedTuple):
    """The answer of the server.

    Attributes:
        status: The HTTP status; 0 closes the connection without an answer.
        body: Sent as JSON; a list of texts is sent as server-sent events.
        headers: Further headers.
    """

    status: int
    body: Any = None
    headers: Mapping[str, str] = {}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        said: Said = self.server.said  # type: ignore[attr-defined] # put there by `saying`
        self.close_connection = True
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if not said.status:
            return
        events = isinstance(said.body, list)
        raw = "".join(f"event: error\ndata: {event}\n\n" for event in said.body) if events else json.dumps(said.body)
        self.send_response_only(said.status)  # No Date header: the cases that need one set it.
        for name, value in said.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "text/event-stream" if events else "application/json")
        self.send_header("Content-Length", str(len(raw.encode())))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(raw.encode())

    def log_message(self, *message: object) -> None:
        """Write no log."""


@contextmanager
def saying(said: Said) -> Iterator[str]:
    """Run a server that gives one answer, and yield its URL."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.said = said  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def openai(url: str) -> Any:
    import openai

    with openai.OpenAI(api_key="none", base_url=url, max_retries=0) as client:
        return client.chat.completions.create(model="m", messages=MESSAGES)


def openai_stream(url: str) -> Any:
    import openai

    with openai.OpenAI(api_key="none", base_url=url, max_retries=0) as client:
        return list(client.chat.completions.create(model="m", messages=MESSAGES, stream=True))


def azure(url: str) -> Any:
    import openai

    with openai.AzureOpenAI(api_key="none", azure_endpoint=url, api_version="2024-10-21", max_retries=0) as client:
        return client.chat.completions.create(model="m", messages=MESSAGES)


def anthropic(url: str) -> Any:
    import anthropic

    with anthropic.Anthropic(api_key="none", base_url=url, max_retries=0) as client:
        return client.messages.create(model="m", max_tokens=9, messages=MESSAGES)


def anthropic_stream(url: str) -> Any:
    import anthropic

    with anthropic.Anthropic(api_key="none", base_url=url, max_retries=0) as client:
        return list(client.messages.create(model="m", max_tokens=9, messages=MESSAGES, stream=True))


def gemini(url: str) -> Any:
    from google import genai
    from google.genai import types

    options = types.HttpOptions(base_url=url, retry_options=types.HttpRetryOptions(attempts=1))
    client: Any = genai.Client(api_key="none", http_options=options)
    return client.models.generate_content(model="m", contents="hi")


def bedrock(url: str) -> Any:
    import boto3
    from botocore.config import Config

    client = boto3.client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=url,
        aws_access_key_id="none",
        aws_secret_access_key="none",
        config=Config(retries={"total_max_attempts": 1, "mode": "standard"}),
    )
    try:
        return client.converse(modelId="m", messages=[{"role": "user", "content": [{"text": "hi"}]}])
    finally:
        client.close()


def mistral(url: str) -> Any:
    from mistralai.client import Mistral

    with Mistral(api_key="none", server_url=url, retry_config=None) as client:
        return client.chat.complete(model="m", messages=MESSAGES)


def cohere(url: str) -> Any:
    import cohere

    client = cohere.ClientV2(api_key="none", base_url=url, log_warning_experimental_features=False)
    return client.chat(model="m", messages=MESSAGES, request_options={"max_retries": 0})


def groq(url: str) -> Any:
    import groq

    with groq.Groq(api_key="none", base_url=url, max_retries=0) as client:
        return client.chat.completions.create(model="m", messages=MESSAGES)


def litellm(url: str) -> Any:
    import litellm

    litellm.suppress_debug_info = True
    options: dict[str, Any] = {"num_retries": 0, "max_retries": 0}
    return litellm.completion(model="openai/gpt-4o", api_base=url, api_key="none", messages=MESSAGES, **options)


def httpx(url: str) -> Any:
    import httpx

    return httpx.post(url, json={}).raise_for_status()


def httpx2(url: str) -> Any:
    import httpx2

    return httpx2.post(url, json={}).raise_for_status()


def requests(url: str) -> Any:
    import requests

    with requests.post(url, json={}, timeout=60) as response:
        response.raise_for_status()


def aiohttp(url: str) -> Any:
    import aiohttp

    async def post() -> None:
        async with aiohttp.ClientSession() as session, session.post(url, json={}) as response:
            response.raise_for_status()

    return asyncio.run(post())


def plain_urllib(url: str) -> Any:
    request = urllib.request.Request(url, data=b"{}")  # noqa: S310 - the test's own server
    try:
        with urllib.request.urlopen(request, timeout=60):  # noqa: S310
            return None
    except urllib.error.HTTPError as error:
        error.close()  # The error holds an open response. The garbage collector would warn about it in a later test.
        raise


Client = Callable[[str], Any]
