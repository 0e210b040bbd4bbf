"""A model behind an OpenAI-compatible API, and another one for when its circuit is open.

    OPENAI_API_KEY=… python openai_compatible.py "Why is the sky blue?"

`LLMCircuitBreaker` knows what a 429 means: it waits out a short Retry-After, opens the circuit for a long one, and
backs off where the server does not say. The client's own retries are switched off, or each attempt would be several.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from openai import AsyncOpenAI

from cbstore_sql import CircuitBreakerOpenError, LLMCircuitBreaker, LLMCircuitBreakerConfig, SqlStore, Store, migrate

CONFIG = LLMCircuitBreakerConfig(enabled=True, max_failures=3, reset_time_seconds=30)


@dataclass
class Provider:
    """One model behind one API, with the breaker that the whole fleet shares for it."""

    client: AsyncOpenAI
    model: str
    breaker: LLMCircuitBreaker

    @classmethod
    def at(cls, base_url: str, model: str, store: Store, config: LLMCircuitBreakerConfig = CONFIG) -> Provider:
        """Make one; ``OPENAI_API_KEY`` is its key."""
        client = AsyncOpenAI(base_url=base_url, max_retries=0, timeout=60.0)
        return cls(client, model, LLMCircuitBreaker(config, backend_name=model, store=store))

    async def ask(self, question: str) -> str:
        """Put one question, again where that may help."""
        answer = await self.breaker.call_with_retry(
            lambda: self.client.chat.completions.create(
                model=self.model, messages=[{"role": "user", "content": question}]
            )
        )
        return answer.choices[0].message.content or ""


async def ask_the_first_that_is_up(providers: Sequence[Provider], question: str) -> str:
    """StoreCall the providers in order; one whose circuit is open costs no request.

    Raises:
        CircuitBreakerOpenError: All circuits are open; it is the last provider's.
    """
    *others, last = providers
    for provider in others:
        try:
            return await provider.ask(question)
        except CircuitBreakerOpenError:
            continue
    return await last.ask(question)


async def main(question: str) -> None:
    url = os.environ.get("BREAKERS_URL", "sqlite:///breakers.db")
    migrate(url)
    with SqlStore(url) as store:
        providers = [
            Provider.at("https://api.openai.com/v1", "gpt-4o-mini", store),
            Provider.at("http://localhost:11434/v1", "llama3.2", store),
        ]
        print(await ask_the_first_that_is_up(providers, question))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
