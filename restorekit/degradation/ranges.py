"""Ranges that settings give and random draws are made from."""

import math

from restorekit.errors import UsageError

Range = tuple[float, float]
"""Lowest and highest value."""


def check_range(name: str, limits: Range, minimum: float = -math.inf, maximum: float = math.inf) -> None:
    """Refuse a range that is none.

    Args:
        name: of the setting, for the message.
        limits: what it was set to.
        minimum, maximum: what it must lie in.

    Raises:
        UsageError: it ends before it begins, is not finite, or leaves `minimum` to `maximum`.
    """
    low, high = limits
    if not (math.isfinite(low) and math.isfinite(high)):
        raise UsageError(f"`{name}` is not finite ({low:g}:{high:g}).")
    if low > high:
        raise UsageError(f"`{name}` ends before it begins ({low:g}:{high:g}).", "Swap the two.")
    if low < minimum or high > maximum:
        raise UsageError(f"`{name}` must lie in {minimum:g} to {maximum:g}, not {low:g}:{high:g}.")


def check_size(size: tuple[int, int] | None) -> None:
    """Refuse a size (width, height) that no image has.

    Raises:
        UsageError: a side is not positive.
    """
    if size is not None and min(size) < 1:
        raise UsageError(f"`resize` cannot be {size[0]}x{size[1]}.", "Give a width and a height in pixels.")
