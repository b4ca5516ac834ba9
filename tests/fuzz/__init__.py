"""Damaged and hostile files: generators with fixed seeds, and tests that throw what they make at restorekit."""
