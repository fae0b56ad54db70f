"""Ways to a store: one protocol, and folders, buckets and machines behind SSH behind it."""
