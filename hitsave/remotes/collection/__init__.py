"""What goes from a remote, what comes back, and when."""
