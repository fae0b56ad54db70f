"""Looking around: what differs, what is in a dataset, what it takes, and its versions. Reads no more than it shows."""
