"""Notifications of state changes over PostgreSQL's LISTEN and NOTIFY.

==========  =======================================================================
`listener`  the thread that sends and receives notifications for one breaker object
`channel`   the connection of the thread, and the format of a notification
==========  =======================================================================
"""
