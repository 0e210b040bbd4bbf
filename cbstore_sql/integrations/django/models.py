"""An empty module for models: Django emits ``post_migrate`` only for applications that have this module."""
