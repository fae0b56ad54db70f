"""One module for each command, named after it; imported only when the command runs."""
