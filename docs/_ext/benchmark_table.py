"""The page of measurements: what the benchmark suite wrote to benchmarks.json, as it is when the pages are built."""

import importlib.util
import json
from pathlib import Path


def _fill(app, docname, source):
    """Append the suite's own page to measured.md, but for its title."""
    results = Path(app.srcdir) / "benchmarks.json"
    if docname != "measured" or not results.exists():
        return
    table = Path(app.srcdir).parent / "tests" / "benchmarks" / "_table.py"
    spec = importlib.util.spec_from_file_location("benchmark_table_writer", table)
    writer = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(writer)
    page = writer.markdown(json.loads(results.read_text(encoding="utf-8")))
    source[0] += "\n" + page.partition("\n")[2]


def setup(app):
    app.connect("source-read", _fill)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
