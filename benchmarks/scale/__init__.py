"""A simulated index of very many chunks; docs/scale.md calculates with what this prints.

It is written in parts and merged, opened and looked up (whole and by ranges), marked and weighed, all by the project's
own code. Each measurement runs in a process of its own, which tells its peak of resident memory, what it read, and its
seconds. 20 million chunks need 5 GB of disk and some ten minutes.
"""
