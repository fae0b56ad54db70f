"""The `hitsave` command: parse, one call, render."""
