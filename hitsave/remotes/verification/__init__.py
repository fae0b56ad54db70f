"""Whether a remote is whole, and what can be done where it is not."""
