"""Blur synthesis: point-spread functions, camera roll, and the paired sets made with them."""
