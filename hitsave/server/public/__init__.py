"""What is public, for everybody: files, directories as pages, JSON and archives, and all that a client needs to check
what it gets (objects_spec.md, section 9.8)."""

from hitsave.server.public.routes import routes

__all__ = ["routes"]
