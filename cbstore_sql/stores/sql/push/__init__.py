"""State changes over LISTEN and NOTIFY.

==========  =======================================================================
`listener`  the thread that sends and receives notifications for one breaker object
`channel`   its connection, and the format of a notification
==========  =======================================================================
"""
