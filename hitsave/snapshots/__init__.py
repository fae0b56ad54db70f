"""Working files become objects and objects become working files; pointer files say which belong together."""
