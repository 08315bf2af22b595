"""Maps that make views correlate."""

from ._cca import CCA
from ._significance import wilks_test

__all__ = ["CCA", "wilks_test"]
