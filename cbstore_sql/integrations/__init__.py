"""Adapters for libraries that a team already uses; each module needs that library and nothing else.

================  ====================================================================================================
`httpx`           transports for httpx, sync and async
`httpx2`          the same for httpx2
`requests`        a transport adapter for requests
`aiohttp`         a client middleware for aiohttp
`starlette`       Starlette and FastAPI: a dependency, the answer for refused requests, lifespan, readiness
`flask`           Flask: the answer for refused requests, readiness
`django`          Django: settings, migrations, system checks, a middleware
`celery`          Celery: a task class whose refused runs come back
`pybreaker`       a storage for ``pybreaker.CircuitBreaker``
`circuitbreaker`  a subclass of ``circuitbreaker.CircuitBreaker``
`_http`           what the HTTP clients share: settings, one call's life
`_httpx_family`   what the transports for httpx and httpx2 share
`_web`            what the web frameworks share: the answer for a refusal
================  ====================================================================================================
"""
