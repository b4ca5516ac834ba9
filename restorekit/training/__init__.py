"""Training: samples, losses, objectives, the loop and its checkpoints."""
