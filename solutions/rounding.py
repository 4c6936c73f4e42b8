"""How many channels go at a keep ratio: the one place that rounds."""

import math


def channels_removed(channels: int, keep_ratio: float) -> int:
    """floor((1 - keep_ratio) * channels + 1e-9); the 1e-9 because (1 - 0.3) * 90 is 62.999… in floating point."""
    return math.floor((1 - keep_ratio) * channels + 1e-9)
