"""A web panel for the breakers of a database: to mount in an application, or to serve with ``cbstore panel``.

`panel_asgi` makes an ASGI application (Starlette, FastAPI, Litestar), `panel_wsgi` a WSGI one (Django, Flask). Both
need no framework, and serve their own style sheet and script.
"""

from __future__ import annotations

from cbstore_sql.panel.access import Access, PanelRequest
from cbstore_sql.panel.asgi import panel_asgi
from cbstore_sql.panel.wsgi import panel_wsgi

__all__ = ["Access", "PanelRequest", "panel_asgi", "panel_wsgi"]
