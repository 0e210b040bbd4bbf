"""The table, and the SQL functions that dialects spell differently.

===========  ===================================================
`table`      the columns, their types and their limits
`functions`  clock, byte length and membership, for each dialect
===========  ===================================================
"""
