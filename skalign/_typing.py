"""Types of the public signatures: for type checkers and readers; nothing is decided by them at run time."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sized
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar, Union

import numpy as np

if sys.version_info >= (3, 11):
    from typing import Self
elif TYPE_CHECKING:
    from typing_extensions import Self
else:
    Self = Any

if TYPE_CHECKING:
    from .views import ByView

__all__ = [
    "Array",
    "ArrayLike",
    "Checkpoint",
    "Container",
    "Device",
    "Direction",
    "Encoder",
    "Metric",
    "PerViewValue",
    "Precision",
    "Rows",
    "Schedule",
    "Score",
    "Seed",
    "Self",
    "Standardize",
    "StepPattern",
    "Stopping",
    "Window",
]

_T = TypeVar("_T")

# numpy's own ArrayLike leaves out sparse matrices, and makes a checker object to every use of the argument.
ArrayLike: TypeAlias = Any
# Views, Domains, arrays, DataFrames, tensors, sparse matrices, lists of strings or arrays: their length is all that
# type checkers know them to share.
Rows: TypeAlias = Sized
# Of the library that went in, numpy or torch; lists or Views of such where lists or Views went in.
Array: TypeAlias = Any
# A float, or with return_details=True a Bunch.
Score: TypeAlias = Any

# One value for all views, or one by name.
PerViewValue: TypeAlias = Union[_T, Mapping[str, _T], "ByView"]

Metric: TypeAlias = str | Callable[..., Any]  # a distance or similarity
Seed: TypeAlias = int | np.random.RandomState | None
Device: TypeAlias = str | None
Container: TypeAlias = Literal["default", "pandas", "polars"]  # of set_output
StepPattern: TypeAlias = Literal["symmetric1", "symmetric2", "asymmetric"]
Window: TypeAlias = float | tuple[Literal["itakura"], float] | None  # of warping paths
Direction: TypeAlias = Literal["both", "a_to_b", "b_to_a"]  # of retrieval

# Of nets: a path to write to; what scales their inputs; when to stop.
Checkpoint: TypeAlias = str | PathLike[str] | None
Standardize: TypeAlias = Literal["view", "feature", False]
Stopping: TypeAlias = bool | Literal["auto"]
# Of a net: a name, a torch module or a function that builds one; a name or a function.
Encoder: TypeAlias = str | Callable[..., Any]
Precision: TypeAlias = bool | Literal["bf16", "fp16"]
Schedule: TypeAlias = Literal["constant", "cosine", "linear"] | Callable[..., Any]  # of the learning rate
