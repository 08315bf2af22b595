"""Maps that make views correlate."""

from ._cca import CCA
from ._kernel_cca import KernelCCA
from ._procrustes import ProcrustesAligner
from ._significance import wilks_test

__all__ = ["CCA", "KernelCCA", "ProcrustesAligner", "wilks_test"]
