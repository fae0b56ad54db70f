"""Remotes: an object store and nothing else, and what hitsave keeps in it."""
