"""From the cache into a remote."""
