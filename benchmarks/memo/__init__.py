"""Memoisation: hitsave's `@memo` beside the libraries that people use for it, in one run, as ratios.

Most of them do not look at a function's code: they compare less, and what they return can be stale. Only checkpointer
and redun look at it at all.
"""
