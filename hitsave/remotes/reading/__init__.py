"""From a remote into the cache."""
