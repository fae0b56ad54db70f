"""Canonical digests of values: equal arguments have equal digests, in every process and on every machine."""
