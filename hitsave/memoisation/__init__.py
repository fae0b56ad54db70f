"""Results of functions, kept until their code, their dependencies or their arguments change."""
