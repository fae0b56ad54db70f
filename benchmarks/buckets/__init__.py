"""hitsave beside its peers over a bucket: `python -m benchmarks.buckets` (see README.md in the folder above)."""
