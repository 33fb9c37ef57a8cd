"""Training: one loop for every model, and the record of an experiment on disk."""
