"""A small Django project; the environment says which database it uses."""
