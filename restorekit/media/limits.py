"""What is read at most, so that no file decides how much memory is taken."""

MOST_PIXELS = 178_956_970  # 2 GiB of 3 bytes a pixel, rounded down by 4: Pillow's own limit
LARGEST_PIXEL = 16  # bytes: four channels of float32
MOST_METADATA = 1 << 28  # bytes of a file beside its pixels
STRIP_BYTES = 1 << 23
"""Of the pixels that are decoded at once from a file that is read by rows; more only where its pieces are larger."""
