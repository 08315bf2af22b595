"""What the displays share: axes, and colours and marks that survive colour blindness and black-and-white print."""

from __future__ import annotations

from importlib.util import find_spec

# Okabe and Ito's colours, the dark ones first; their yellow is left out, as it vanishes on white paper.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "^", "s", "D", "v", "P", "X")


def require_matplotlib(owner):
    """Raise ImportError, which says what to install, unless there is matplotlib."""
    if find_spec("matplotlib") is None:
        raise ImportError(f"{owner} draws with matplotlib: pip install 'skalign[plot]'.")


def open_axes(ax, owner, figsize=None):
    """Axes to draw on, new ones where `ax` is None, and their figure."""
    require_matplotlib(owner)
    from matplotlib.axes import Axes

    if ax is None:
        import matplotlib.pyplot as plt

        _, ax = plt.subplots(figsize=figsize, layout="constrained")
    if not isinstance(ax, Axes):
        raise TypeError(f"ax must be one matplotlib Axes or None, got {type(ax).__name__}.")
    return ax, ax.figure


def styled(artist, given, **defaults):
    """Keywords for an artist: those `given` by the user before the `defaults`, whatever alias they come under."""
    from matplotlib.cbook import normalize_kwargs

    return normalize_kwargs(defaults, artist) | normalize_kwargs(given or {}, artist)


def ink_on(image, value):
    """Black or white, whichever can be read on the colour of `value` in an image."""
    red, green, blue, _ = image.cmap(image.norm(value))
    return "white" if 0.299 * red + 0.587 * green + 0.114 * blue < 0.5 else "black"


def outlined(color="white", width=2.5):
    """Path effects that make lines and letters stand out from whatever is behind them."""
    from matplotlib.patheffects import withStroke

    return [withStroke(linewidth=width, foreground=color)]


def whole_numbers(*axes):
    """Ticks for an axis that counts, or several."""
    from matplotlib.ticker import MaxNLocator

    for axis in axes:
        axis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True))


def legend_above(ax, n_entries, **options):
    """A legend that covers nothing that was drawn."""
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=min(n_entries, 3), frameon=False, **options)
