"""Adapters for libraries that a team already uses; each module needs that library and nothing else.

| module | adapts |
|---|---|
| `cbstore_sql.integrations.httpx`, `cbstore_sql.integrations.httpx2` | transports, sync and async |
| `cbstore_sql.integrations.requests` | a transport adapter |
| `cbstore_sql.integrations.aiohttp` | a client middleware |
| `cbstore_sql.integrations.starlette` | Starlette and FastAPI: dependency, exception handler, lifespan, readiness |
| `cbstore_sql.integrations.flask` | Flask: error handler, readiness |
| `cbstore_sql.integrations.django` | Django: app, settings, system check, migrations |
| `cbstore_sql.integrations.celery` | Celery: a task base class for workers |
| `cbstore_sql.integrations.pybreaker` | a storage for ``pybreaker.CircuitBreaker`` |
| `cbstore_sql.integrations.circuitbreaker` | a subclass of ``circuitbreaker.CircuitBreaker`` |
"""
