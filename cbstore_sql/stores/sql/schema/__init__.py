"""The table, and SQL functions that the dialects spell differently."""
