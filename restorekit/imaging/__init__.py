"""Pixels as arrays: types and their ranges, resizing, colour, alignment. NumPy and OpenCV, no files, no torch."""
