"""The face of a store for clients, under /store/v1: what may be read, created and removed, and by whom."""

from hitsave.server.store.routes import routes

__all__ = ["routes"]
