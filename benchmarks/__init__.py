"""Benchmarks: one script for each claim of speed that the project makes (see README.md here)."""
