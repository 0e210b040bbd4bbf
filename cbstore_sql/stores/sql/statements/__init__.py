"""SQL text built from the rules."""
