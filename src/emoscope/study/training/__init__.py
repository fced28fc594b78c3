"""One training: batches, steps, checkpoints and its folder."""
