#!/usr/bin/env bash
# The documentation, from an environment with the extra `docs`. Examples run once and again when they change.
#   bash docs/build.sh            everything; a warning is an error
#   bash docs/build.sh --quick    without running the examples
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 MPLBACKEND=Agg

options=(-W --keep-going)
if [ "${1:-}" = --quick ]; then
    options=(-D plot_gallery=0) # pictures are missing then, and that is a warning
    shift
fi
"${PYTHON:-python}" -m sphinx "${options[@]}" -b html docs docs/_build/html "$@"
