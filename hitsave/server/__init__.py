"""The server: an HTTP face for any store, with keys, public snapshots and pages.

It never unpickles anything and never runs a user's code: it must not import `hitsave.memoisation`, which a contract in
pyproject.toml forbids. What clients send is hostile until it was checked; `admission` says what is let in.
"""
