"""The backends, one module or package each."""
