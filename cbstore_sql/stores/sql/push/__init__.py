"""Changes of state over LISTEN and NOTIFY."""
