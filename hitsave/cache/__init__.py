"""The local store of one user: objects, packs, refs and what is known of working files."""
