"""Coming from elsewhere: the history of datasets that another tool keeps in a git repository becomes refs."""
