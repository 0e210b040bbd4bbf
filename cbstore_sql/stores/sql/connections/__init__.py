"""Connections to the database.

============================  ====================================================================================
`engine`                      makes an engine from a URL, or checks the one of the application
`pool`, `pool_async`          connections of a store with a URL: they stay checked out between statements
`checkout`, `checkout_async`  connections from an engine of the application: back in its pool after each statement
`connection`                  one driver connection, for each driver
`libpq`                       one statement over psycopg's libpq connection
`prepare`                     whether statements are prepared
`cancel`                      cancels a statement on the server
============================  ====================================================================================
"""
