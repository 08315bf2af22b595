"""Containers of paired and unpaired data, and the steps that take them apart and together."""

from ._by_view import ByView
from ._domains import Domains
from ._fuse import Fuse
from ._per_view import PerView
from ._precomputed import Precomputed
from ._select_view import select_view
from ._split_columns import SplitColumns
from ._views import Views

__all__ = ["ByView", "Domains", "Fuse", "PerView", "Precomputed", "SplitColumns", "Views", "select_view"]
