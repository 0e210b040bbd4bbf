"""A chain of two models behind OpenAI-compatible APIs: if the circuit of the first model is open, ask the second.

    OPENAI_API_KEY=… python openai_compatible.py "Why is the sky blue?"

`LLMCircuitBreaker` handles a 429 as follows. For a short Retry-After, the breaker waits and tries again. For a long
Retry-After, the breaker opens the circuit. Without a Retry-After, the breaker tries again after a growing pause. The
client has ``max_retries=0``, because otherwise each attempt of the breaker would send several requests.
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
    """One model behind one API, with the breaker of this model. All processes of the fleet share the breaker.

    Attributes:
        client: The client of the API.
        model: The name of the model.
        breaker: The breaker of the model.
    """

    client: AsyncOpenAI
    model: str
    breaker: LLMCircuitBreaker

    @classmethod
    def at(cls, base_url: str, model: str, store: Store, config: LLMCircuitBreakerConfig = CONFIG) -> Provider:
        """Create a provider. The client reads the API key from the environment variable ``OPENAI_API_KEY``.

        Args:
            base_url: The URL of the API.
            model: The name of the model; also the name of the breaker.
            store: The store of the breaker.
            config: The settings of the breaker.
        """
        client = AsyncOpenAI(base_url=base_url, max_retries=0, timeout=60.0)
        return cls(client, model, LLMCircuitBreaker(config, backend_name=model, store=store))

    async def ask(self, question: str) -> str:
        """Send one question and return the answer. The breaker tries again after a failure that may pass.

        Raises:
            CircuitBreakerOpenError: The breaker rejected the question.
        """
        answer = await self.breaker.call_with_retry(
            lambda: self.client.chat.completions.create(
                model=self.model, messages=[{"role": "user", "content": question}]
            )
        )
        return answer.choices[0].message.content or ""


async def ask_the_first_that_is_up(providers: Sequence[Provider], question: str) -> str:
    """Ask the providers in order and return the first answer. A provider with an open circuit gets no request.

    Args:
        providers: The providers, the most preferred first; at least one.
        question: The question.

    Raises:
        CircuitBreakerOpenError: All circuits are open. The error is the error of the last provider.
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
