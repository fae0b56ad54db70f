"""Keeping a cache in order: collection, undo, verification."""
