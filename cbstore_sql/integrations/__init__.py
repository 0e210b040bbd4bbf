"""Adapters for common libraries. Each module needs only the library that it adapts.

================  ====================================================================================================
`httpx`           transports for httpx, sync and async
`httpx2`          the same for httpx2
`requests`        a transport adapter for requests
`aiohttp`         a client middleware for aiohttp
`starlette`       Starlette and FastAPI: a dependency, the answer for refused requests, lifespan, readiness
`flask`           Flask: the answer for refused requests, readiness
`django`          Django: settings, migrations, system checks, a middleware
`celery`          Celery: a task class that runs refused tasks again later
`pybreaker`       a storage for ``pybreaker.CircuitBreaker``
`circuitbreaker`  a subclass of ``circuitbreaker.CircuitBreaker``
`_http`           the common part of the HTTP clients: settings, and one call from request to response
`_httpx_family`   the common part of the transports for httpx and httpx2
`_web`            the common part of the web frameworks: the answer for a refusal
================  ====================================================================================================
"""
