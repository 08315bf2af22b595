"""The table of the benchmarks: kept as a JSON document, and drawn up from it alone as a page and a picture."""

from __future__ import annotations

import datetime
import json
import os
import platform
from importlib import metadata
from pathlib import Path

PEERS = (
    "scikit-learn", "POT", "aeon", "cca-zoo", "dtaidistance", "dtw-python", "faiss-cpu", "lapx", "lightning",
    "ruptures", "tslearn",
)  # fmt: skip
ENGINES = ("numpy", "scipy", "numba", "torch", "skorch")

HOW = """\
One thread. Rivals take turns in one process, every second round in the opposite order, after their answers to the same
input were found equal. A turn is a call, or as many as fill 20 ms; what counts is the median of processor seconds a
call, of 3 rounds at least (one where it takes longer than ten seconds). "12x" behind a peer: it takes 12 times what
skalign takes; below 1x it is the faster one. MB are 10^6 bytes of peak memory beyond what a fresh process held before
the call, its result included: the high-water mark of resident memory, or ("arrays") what numpy allocates.

A bar is a promise: the suite fails where one is missed. A goal is not reached everywhere, and the table says so.
"""


def _version(name):
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def environment():
    """The machine, and what is installed."""
    import skalign

    cpu = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        cpu = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), cpu)
    machine = {"cpu": cpu, "cores": os.cpu_count(), "system": platform.system()}
    if hasattr(os, "sysconf"):
        machine["memory_gib"] = round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)
    versions = {"python": platform.python_version(), "skalign": skalign.__version__}
    return machine, versions | {name: _version(name) for name in (*ENGINES, *PEERS)}


class Document:
    """The rows of a run, kept in a JSON file as they come; rows of an earlier run of other tests stay.

    Parameters
    ----------
    path : Path or None
        The file. None keeps rows in memory alone.
    quick : bool
    fresh : bool, default=False
        Start anew, whatever the file holds.
    """

    def __init__(self, path, quick, *, fresh=False):
        self.path, self.quick = path, quick
        machine, versions = environment()
        self.content = {
            "mode": "quick" if quick else "full", "machine": machine, "versions": versions, "rows": [], "growth": [],
        }  # fmt: skip
        if path is None or fresh or not path.exists():
            return
        old = json.loads(path.read_text(encoding="utf-8"))
        differing = [key for key in ("mode", "machine", "versions") if old[key] != self.content[key]]
        if differing:
            raise ValueError(f"{path} comes from another {' and '.join(differing)}: start anew with --fresh")
        self.content = old

    def add(self, part, entry):
        """Put an entry into "rows" or "growth", in place of the same one of an earlier run."""
        entry = {**entry, "date": datetime.date.today().isoformat()}

        def key(one):
            return [one.get(name) for name in ("family", "what", "size", "unit")], list(one.get("peers", ()))

        entries = self.content[part]
        same = [i for i, other in enumerate(entries) if key(other) == key(entry)]
        if same:
            entries[same[0]] = entry
        else:
            entries.append(entry)
        if self.path is not None:
            text = json.dumps(self.content, indent=1, ensure_ascii=False)
            self.path.write_text(text + "\n", encoding="utf-8")


# --- the page --------------------------------------------------------------------------------------------------------

_WITHIN = {True: "within", False: "**outside**", None: ""}


def _number(value, unit):
    """Three digits, with seconds in the unit that suits them."""
    if unit == "s":
        factor, name = next((pair for pair in ((1, "s"), (1e3, "ms")) if value * pair[0] >= 1), (1e6, "µs"))
        return f"{_digits(value * factor)} {name}"
    return f"{_digits(value)} {unit.split(',')[0]}".strip()


def _digits(value):
    if value == 0 or not 1e-3 <= abs(value) < 1e6:
        return f"{value:.3g}"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _peer(name, found, row):
    if "missing" in found:
        return f"{name}: {found['missing']}"
    text = f"{name} {_number(found['value'], row['unit'])}"
    if name in row.get("seconds", {}):
        text += f" in {_number(row['seconds'][name], 's')}"
    return f"{text} (**{_digits(found['ratio'])}x**)" if "ratio" in found else text


def _bar(bar):
    return f"{'' if bar['promised'] else 'goal: '}{bar['text']}: {'yes' if bar['met'] else '**no**'}"


def _rows(rows):
    lines = ["| what | size | skalign | peers | bars |", "|---|---|---|---|---|"]
    for row in rows:
        ours = _number(row["ours"], row["unit"])
        if "seconds" in row:
            ours += f" in {_number(row['seconds']['skalign'], 's')}"
        peers = "<br>".join(_peer(name, found, row) for name, found in row["peers"].items())
        what = f"{row['what']}, arrays" if row["unit"].endswith("arrays") else row["what"]
        lines.append(f"| {what} | {row['size']} | {ours} | {peers} | {'<br>'.join(map(_bar, row['bars']))} |")
    return lines


def _growth(entries):
    lines = ["| what | grows | from, to | seconds | exponent | theory | |", "|---|---|---|---|---|---|---|"]
    for entry in entries:
        sizes, seconds, (least, most) = entry["sizes"], entry["seconds"], entry["interval"]
        lines.append(
            f"| {entry['what']} | {entry['size']} | {sizes[0]:,} to {sizes[-1]:,} "
            f"| {_number(seconds[0], 's')} to {_number(seconds[-1], 's')} | {entry['exponent']:.2f} "
            f"| {entry['theory']} ({least:g} to {most:g}) | {_WITHIN[entry['within']]} |"
        )
    return lines


def families(entries):
    """Entries by family, in the order in which families come first."""
    found = {}
    for entry in entries:
        found.setdefault(entry["family"], []).append(entry)
    return found


def markdown(content):
    """The whole document as a page.

    Parameters
    ----------
    content : dict
        As `Document` writes it.

    Returns
    -------
    str
    """
    machine, rows = content["machine"], content["rows"]
    bars = [bar for row in rows for bar in row["bars"]]
    met = {kind: [bar["met"] for bar in bars if bar["promised"] is (kind == "bars")] for kind in ("bars", "goals")}
    dates = sorted({entry["date"] for part in ("rows", "growth") for entry in content[part]})
    lines = [
        "# Benchmarks", "", HOW,
        f"{machine['cpu']}, {machine['cores']} cores, {machine.get('memory_gib', '?')} GiB, {machine['system']}; "
        f"{' to '.join(dict.fromkeys((dates[0], dates[-1])))}." if dates else "Nothing was run.",
        ", ".join(f"{name} {version}" for name, version in content["versions"].items()) + ".", "",
    ]  # fmt: skip
    if content["mode"] == "quick":
        lines += ["**A quick run: sizes are small, and no time is judged.**", ""]
    else:
        lines += ["; ".join(f"{sum(found)} of {len(found)} {kind} met" for kind, found in met.items()) + ".", ""]
    lines += ["```sh", "python tests/benchmarks/run.py --output docs/benchmarks", "```", ""]
    for family, own in families(rows).items():
        lines += [f"## {family}", "", *_rows(own), ""]
    if content["growth"]:
        lines += [
            "## Growth", "",
            "The slope on log axes, fitted over the larger half of the sizes. Theory counts operations; where a small "
            "part of a cost still shows, or a cache is outgrown, the slope is off a little: hence the interval.", "",
        ]  # fmt: skip
        if content["mode"] == "full":
            lines += ["![Time against size of every method](growth.png)", ""]
        for family, own in families(content["growth"]).items():
            lines += [f"### {family}", "", *_growth(own), ""]
    return "\n".join(lines)


def draw_growth(content, path):
    """Seconds against size on log axes, one panel a family, as a PNG.

    Parameters
    ----------
    content : dict
    path : path
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullFormatter

    panels = families(content["growth"])
    n_columns = 3
    n_rows = -(-len(panels) // n_columns)
    figure = Figure(figsize=(4.6 * n_columns, 4.4 * n_rows), layout="constrained", dpi=110)
    axes = figure.subplots(n_rows, n_columns, squeeze=False).ravel()
    for ax in axes[len(panels) :]:
        ax.set_axis_off()
    for ax, (family, entries) in zip(axes, panels.items()):
        for i, entry in enumerate(entries):
            label = f"{entry['what']}: {entry['size']}$^{{{entry['exponent']:.2f}}}$"
            ax.loglog(
                entry["sizes"], entry["seconds"], marker="os^Dvp*"[i % 7], markersize=4, color=f"C{i}", label=label
            )
        ax.set_title(family)
        ax.set_xlabel("size")
        ax.set_ylabel("processor seconds")
        ax.grid(alpha=0.3)
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_minor_formatter(NullFormatter())  # the names of minor ticks run into each other
        ax.legend(loc="upper left", bbox_to_anchor=(0, -0.16), fontsize=8, frameon=False)
    figure.savefig(path)
