"""Builds the sdist and from it the wheel, looks at what is in them, and tries the wheel in an empty environment.

    python .ci/wheel.py

Exits with the first thing that is wrong. Needs git, and pip with an index.
"""

import re
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
IMPORT_SECONDS = 0.5


def run(*command, **options):
    return subprocess.run([str(part) for part in command], check=True, text=True, **options)


def tracked(*folders):
    """Files of the repository, with those that are new and not ignored, as git knows them."""
    listed = run("git", "ls-files", "-co", "--exclude-standard", *folders, cwd=ROOT, capture_output=True).stdout
    return {name for name in listed.splitlines() if (ROOT / name).exists()}


def expect(what, found, wanted):
    if found != wanted:
        sys.exit(f"{what}: missing {sorted(wanted - found)[:9]}, too much {sorted(found - wanted)[:9]}; nine at most")
    print(f"{what}: {len(found)} files, as it should be")


def build(folder):
    """Paths of the sdist and of the wheel that is built from it."""
    builder = folder / "builder"
    venv.create(builder, with_pip=True)
    run(builder / "bin" / "pip", "install", "-q", "build")
    run(builder / "bin" / "python", "-m", "build", "--outdir", folder, ROOT, stdout=subprocess.DEVNULL)
    (sdist,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    return sdist, wheel


def check_contents(sdist, wheel):
    package = tracked("skalign")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        info = next(name.split("/")[0] for name in names if name.endswith(".dist-info/METADATA"))
    licences = {f"{info}/licenses/{name}" for name in ("LICENSE", "skalign/datasets/data/UNICODE_LICENSE.txt")}
    expect("wheel", names, package | licences | {f"{info}/{name}" for name in ("METADATA", "WHEEL", "RECORD")})
    top = {"README.md", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md", "CITATION.cff", "pyproject.toml", ".gitignore"}
    top |= {path.name for path in ROOT.glob("constraints*.txt")}
    with tarfile.open(sdist) as archive:
        files = {member.name.split("/", 1)[1] for member in archive.getmembers() if member.isfile()}
    expect("sdist", files, package | tracked("examples", "tests", "docs") | top | {"PKG-INFO"})


def try_wheel(folder, wheel):
    """In an environment with nothing but the wheel and what it requires."""
    environment = folder / "empty"
    venv.create(environment, with_pip=True)
    python = environment / "bin" / "python"
    run(python, "-m", "pip", "install", "-q", wheel)
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)
    (folder / "readme.txt").write_text("\n".join(blocks))
    run(python, "-m", "doctest", "-o", "NORMALIZE_WHITESPACE", "-o", "ELLIPSIS", "readme.txt", cwd=folder)
    print(f"README: {len(blocks)} blocks run")
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        run(python, "-c", "pass", cwd=folder)
        bare = time.perf_counter()
        run(python, "-c", "import skalign", cwd=folder)
        seconds.append(time.perf_counter() - bare - (bare - start))
    median = statistics.median(seconds)
    print(f"import skalign: {median:.3f} s, median of {len(seconds)}, beyond an empty Python")
    if median > IMPORT_SECONDS:
        sys.exit(f"import skalign takes more than {IMPORT_SECONDS} s")
    run(python, "-c", "import skalign; skalign.show_versions()", cwd=folder)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sdist, wheel = build(folder)
        check_contents(sdist, wheel)
        try_wheel(folder, wheel)
