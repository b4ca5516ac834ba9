"""What a process needs of its machine: device, precision, memory, files that appear whole, journals, progress."""
