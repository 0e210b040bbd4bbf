"""The breaker table, and the SQL functions whose names differ between PostgreSQL and SQLite.

===========  =================================================================
`table`      the columns of the table, with their types and limits
`functions`  clock, byte length, membership and history entry for each dialect
===========  =================================================================
"""
