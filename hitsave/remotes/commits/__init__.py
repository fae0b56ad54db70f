"""The log of a remote: commits, what they name, and what this machine keeps of that."""
