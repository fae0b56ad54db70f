"""What evaluations cost in the cache: publishing small ones one by one, and finding one among very many.

    python -m benchmarks.evaluations [--publish 10000] [--refs 1000000] [--folder DIR]

Publishing is measured with the syncs that a reported result needs, and without them, to tell what is the disk's. The
store of many refs is made in bulk; its lookups are hits and misses of random keys.
"""
