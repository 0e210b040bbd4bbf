"""Connections to the database.

============================  ====================================================================================
`engine`                      makes an engine from a URL, or checks the one of the application
`pool`, `pool_async`          connections of a store with a URL: they stay checked out between statements
`checkout`, `checkout_async`  connections from an engine of the application: back in its pool after each statement
`connection`                  one driver connection that stays checked out between statements
`connection_pg`               the same for psycopg, sync and async
`connection_sqlite`           the same for SQLite, sync and async
`sqlite_file`                 the file behind a SQLite URL
`sqlite_fork`                 closes SQLite connections before a fork
`libpq`                       one statement over psycopg's libpq connection
`prepare`                     whether statements are prepared
`pg_options`                  how connections to PostgreSQL are opened
`session_setup`               what a PostgreSQL session is told and asked before its first statement
`socket_wait`                 waits for a socket, with ``poll`` or ``select``
`cancel`                      cancels an abandoned statement on the server and watches until its session has ended
============================  ====================================================================================
"""
