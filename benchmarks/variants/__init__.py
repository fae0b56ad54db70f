"""Small measurements that choose between ways to write a hot path; their figures feed docs/performance.md."""
