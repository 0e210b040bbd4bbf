"""The script that alembic runs. The work is done in `cbstore_sql.migration.runner`."""

from __future__ import annotations

import logging

from alembic import context

from cbstore_sql.migration.runner import Target, run, write_sql

if context.config.cmd_opts is not None:
    # The command line of alembic turns logging on. A call from code does not change the logging of the application.
    logging.basicConfig(format="%(levelname)s [%(name)s] %(message)s")
    logging.getLogger("alembic").setLevel(logging.INFO)

target = Target.of(context.config)
if context.is_offline_mode():
    write_sql(target)
else:
    run(target)
