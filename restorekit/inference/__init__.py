"""Inference: tiles, the engine that runs a network over them, and the runner that streams folders through it."""
