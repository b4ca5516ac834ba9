"""Deblurring systems, one file each."""
