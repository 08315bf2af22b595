"""Run the benchmarks and write their table: `python tests/benchmarks/run.py --help`."""

import argparse
import json
import os
import sys
from pathlib import Path

# Before numpy is imported: BLAS reads these once.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[_name] = "1"

HERE = Path(__file__).resolve().parent


def parse(arguments):
    parser = argparse.ArgumentParser(description="Run the benchmarks and write their table.")
    parser.add_argument("families", nargs="*", help="words of file names, as in `cca transport`; all without any")
    parser.add_argument("--quick", action="store_true", help="small sizes, three minutes; no time is judged")
    parser.add_argument("--output", type=Path, help="name without suffix: NAME.json, NAME.md; rows of other tests stay")
    parser.add_argument("--fresh", action="store_true", help="forget the rows that are there")
    parser.add_argument("--render", action="store_true", help="run nothing: write page and picture from NAME.json")
    options = parser.parse_args(arguments)
    if options.render and options.output is None:
        parser.error("--render needs --output")
    return options


def main(arguments=None):
    """Exit status: that of pytest."""
    options = parse(arguments)
    status = 0
    if not options.render:
        import pytest

        files = sorted(HERE.glob("test_*.py"))
        if options.families:
            files = [path for path in files if any(word in path.stem for word in options.families)]
        command = ["-m", "slow", "-n", "0", "-q", "-p", "no:cacheprovider", "--rootdir", str(HERE.parents[1])]
        command += [f"--output={options.output.resolve()}"] if options.output is not None else []
        command += [f"--{name}" for name in ("quick", "fresh") if getattr(options, name)]
        status = int(pytest.main([*command, *map(str, files)]))
    if options.output is not None and options.output.with_suffix(".json").exists():
        import _table

        content = json.loads(options.output.with_suffix(".json").read_text(encoding="utf-8"))
        options.output.with_suffix(".md").write_text(_table.markdown(content), encoding="utf-8")
        if content["growth"]:
            _table.draw_growth(content, options.output.with_name("growth.png"))
    return status


if __name__ == "__main__":
    sys.exit(main())
