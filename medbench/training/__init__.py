"""One training loop for all generators, with checkpoints that survive a kill."""
