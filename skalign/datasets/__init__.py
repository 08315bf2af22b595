"""Real paired data that ships with the package."""

from ._color_names import load_color_names
from ._emoji import load_emoji

__all__ = ["load_color_names", "load_emoji"]
