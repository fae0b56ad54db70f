"""Real servers for tests, on free ports of 127.0.0.1: each starts when it is asked for, and none outlives the run."""
