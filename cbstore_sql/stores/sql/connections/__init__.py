"""The connections of a store to PostgreSQL or SQLite.

============================  ====================================================================================
`engine`                      makes an engine from a URL, or checks the application's engine
`pool`, `pool_async`          connections of a store with a URL: they stay checked out between statements
`checkout`, `checkout_async`  connections of the application's engine: they return to the pool after each statement
`connection`                  one driver connection that stays checked out between statements
`connection_pg`               a psycopg connection that stays checked out, sync and async
`connection_sqlite`           a SQLite connection that stays checked out, sync and async
`sqlite_file`                 the file behind a SQLite URL
`sqlite_fork`                 closes SQLite connections before a fork
`libpq`                       a session: one statement over psycopg's libpq connection
`wire`                        reads the server's answer from a libpq connection, without waiting
`pipeline`                    sends a statement before the answer to the statement before it has arrived
`transaction`                 runs a statement in an explicit transaction, where that is necessary
`unread`                      the answer to a statement for which no caller waits
`drive`                       waits for the socket of a session, in a thread or in an event loop
`prepare`                     a flag for whether a store prepares statements
`pg_options`                  the options with which connections to PostgreSQL are opened
`host_order`                  tries the host that gave the last connection first, where a URL has several hosts
`session_setup`               the first statement of a PostgreSQL session
`socket_wait`                 waits for a socket, with ``poll`` or ``select``
`cancel`                      cancels an abandoned statement on the server and waits until its session has ended
============================  ====================================================================================
"""
