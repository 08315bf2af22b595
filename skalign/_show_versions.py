"""What a report of an error should begin with."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version

REQUIRED = ("array-api-compat", "numba", "numpy", "scikit-learn", "scipy")
OPTIONAL = ("accelerate", "dask", "distributed", "matplotlib", "POT", "scikit-image", "skorch", "torch")


def show_versions() -> None:
    """Print the versions of Python, skalign and what it stands on, and the threads of their libraries.

    For reports of errors. Packages come with their version or "not installed"; then the BLAS and OpenMP libraries that
    are loaded, with their threads; then what torch, where it is installed, says of CUDA. torch is imported for that.

    See Also
    --------
    sklearn.show_versions : scikit-learn's own.

    Examples
    --------
    >>> import skalign
    >>> skalign.show_versions()  # doctest: +ELLIPSIS
    System
        python: 3...
        platform: ...
    <BLANKLINE>
    Packages
        skalign: ...
    """
    from . import __version__

    _print("System", {"python": sys.version.replace("\n", " "), "platform": platform.platform()})
    _print("Packages", {"skalign": __version__, **{name: _installed(name) for name in (*REQUIRED, *OPTIONAL)}})
    cuda = _cuda()  # before the libraries are listed: torch brings some
    _print("Threads", _threads())
    if cuda:
        _print("CUDA", cuda)


def _print(title: str, values: dict[str, str]) -> None:
    # One call a section, so that output from elsewhere does not come between its lines.
    print("\n".join([title, *(f"    {name}: {value}" for name, value in values.items())]), end="\n\n")


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _threads() -> dict[str, str]:
    import scipy.linalg  # noqa: F401  the BLAS of numpy and scipy may be two libraries, and is loaded with them
    from threadpoolctl import threadpool_info

    return {
        os.path.basename(library["filepath"]): (
            f"{library['internal_api']} {library['version'] or ''}".rstrip() + f", {library['num_threads']} threads"
        )
        for library in threadpool_info()
    }


def _cuda() -> dict[str, str]:
    try:
        import torch
    except ImportError:
        return {}
    if not torch.cuda.is_available():
        return {"torch": "no CUDA device"}
    devices = {f"device {i}": torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())}
    return {"version": str(torch.version.cuda), **devices}
