"""Public snapshots (objects_spec.md, section 9.8): under which keys they lie, how they get there, and how anybody reads
them by GET alone."""
