"""Example sources: what a model is shown in training, batch by batch."""
