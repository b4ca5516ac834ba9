"""Restore files and folders: plan, resume, read, restore and write side by side, report."""
