"""Sphinx's settings; `bash docs/build.sh` builds the pages."""

# ruff: noqa: E402
import os
import re
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))

from gallery import copy_examples

import skalign

project = "skalign"
author = "The skalign developers"
project_copyright = author
version = release = skalign.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "myst_parser",
    "sphinx_gallery.gen_gallery",
    "mathml",
    "code_links",
    "benchmark_table",
]
root_doc = "index"
exclude_patterns = [
    "_build",
    "gallery_header.rst",
    "reference/generated/backreferences",
    "benchmarks.md",  # measured.md shows the same, from benchmarks.json as it is now
]
templates_path = ["_templates"]
default_role = "literal"  # single backticks in docstrings are code; code_links makes links of the names it knows

# Every reference to a name of ours must lead somewhere. Nothing of other libraries is looked up: that needs a network.
nitpicky = True
nitpick_ignore_regex = [(r"py:.*", r"(?!skalign).*"), (r"py:.*", r"skalign\.(.*\.)?_[a-z].*")]

autosummary_generate = True
autodoc_typehints = "none"  # the docstrings name the types
numpydoc_show_class_members = False

myst_enable_extensions = ["dollarmath", "colon_fence", "deflist"]
myst_heading_anchors = 3
suppress_warnings = ["toc.empty_glob"]  # pages that a checkout may not have yet

examples = HERE / "_build" / "examples"
copy_examples(HERE.parent / "examples", HERE / "gallery_header.rst", examples)
sphinx_gallery_conf = {
    "examples_dirs": str(examples),
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"plot_",
    "doc_module": ("skalign",),
    "backreferences_dir": "reference/generated/backreferences",
    "reference_url": {"skalign": None},
    "reset_modules": ("matplotlib", "seaborn", "gallery.restore_environment"),
    "within_subsection_order": "ExampleTitleSortKey",
    "remove_config_comments": True,
    "show_memory": False,
    "write_computation_times": False,  # its page would fetch a script from elsewhere
    "parallel": int(os.environ.get("SKALIGN_DOCS_JOBS", "1")),
}


def plain_references(app, what, name, obj, options, lines):
    """Methods that come from scikit-learn refer to sections of its own pages."""
    if (getattr(obj, "__module__", None) or "").startswith("sklearn"):
        lines[:] = [re.sub(r":ref:`([^<`]+?)(?: <[^`]*>)?`", r"\1", line) for line in lines]


def setup(app):
    app.connect("autodoc-process-docstring", plain_references)


html_theme = "pydata_sphinx_theme"
html_title = "skalign"
html_static_path = ["_static"]
html_css_files = ["custom.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "show_prev_next": True,
    "header_links_before_dropdown": 6,
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_sidebars = {"index": [], "choose": [], "paired_data": []}
