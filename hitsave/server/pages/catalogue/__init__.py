"""What the pages list, sort and filter, in a database of its own that can be made again from what they look at."""
