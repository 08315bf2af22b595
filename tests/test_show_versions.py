"""What `show_versions` prints."""

import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import skalign
from skalign import _show_versions


def _sections(text):
    blocks = [block.splitlines() for block in text.strip().split("\n\n")]
    return {title: dict(line.strip().split(": ", 1) for line in lines) for title, *lines in blocks}


def test_it_names_what_is_there_and_what_is_not(capsys, monkeypatch):
    monkeypatch.setattr(_show_versions, "OPTIONAL", ("matplotlib", "no-such-package"))
    assert skalign.show_versions() is None
    sections = _sections(capsys.readouterr().out)
    assert sections["System"]["python"].startswith(f"{sys.version_info.major}.{sys.version_info.minor}.")
    packages = sections["Packages"]
    assert packages["skalign"] == skalign.__version__
    assert packages["numpy"] == version("numpy")
    assert packages["matplotlib"] == version("matplotlib")
    assert packages["no-such-package"] == "not installed"
    assert any(re.search("blas|mkl", line, re.IGNORECASE) for line in sections["Threads"].values())


def test_without_torch():
    # None in sys.modules makes an import fail.
    code = "import sys; sys.modules['torch'] = None; import skalign; skalign.show_versions()"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert list(_sections(out)) == ["System", "Packages", "Threads"]


def test_it_knows_all_dependencies():
    tomllib = pytest.importorskip("tomllib", reason="new in Python 3.11")
    project = tomllib.loads((Path(skalign.__file__).parent.parent / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].items()
    optional = [line for extra, lines in extras if extra not in ("bench", "docs", "test") for line in lines]
    for known, declared in ((_show_versions.REQUIRED, project["dependencies"]), (_show_versions.OPTIONAL, optional)):
        assert set(known) == {re.match(r"[\w-]+", line)[0] for line in declared}
