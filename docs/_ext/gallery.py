"""What the gallery needs around the examples: a copy to run in, and the environment put back after each."""

import os
import shutil
from pathlib import Path

_ENVIRONMENT = dict(os.environ)


def copy_examples(source, header, target):
    """Copy the scripts, since each writes its picture beside itself, and lay the page's introduction among them."""
    target = Path(target)
    target.mkdir(parents=True, exist_ok=True)
    for left in target.glob("*.py"):
        left.unlink()
    for script in sorted(Path(source).glob("plot_*.py")):
        shutil.copy2(script, target)
    shutil.copy2(header, target / "GALLERY_HEADER.rst")


def restore_environment(gallery_conf, fname):
    """Undo what an example set for its worker processes."""
    os.environ.clear()
    os.environ.update(_ENVIRONMENT)
