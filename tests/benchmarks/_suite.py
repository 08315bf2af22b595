"""What the benchmarks share: rivals timed in turn, extra memory of fresh processes, and the rows of the table.

A bar is a promise: a full run fails where one is missed. A goal was set and never reached: its row says "no", and
nothing fails; once reached it becomes a bar. A quick run fails where answers differ, never by a time: its sizes are
small.
"""

from __future__ import annotations

import importlib
import subprocess
import sys
import time

import numpy as np


def optional(name):
    """The module, or None where its distribution is not installed."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if name.split(".")[0] != (error.name or "").split(".")[0]:
            raise
        return None


# --- measuring -------------------------------------------------------------------------------------------------------


_TURN, _LONG_ROUND = 0.02, 10.0  # seconds


def _seconds_a_call(call, turn):
    """Processor seconds of a call: the mean over as many in a row as fill a turn, so that caches are warm for all."""
    begun, calls = time.process_time(), 0
    while True:
        call()
        calls += 1
        spent = time.process_time() - begun
        if spent >= turn:
            return spent / calls


def processor_medians(calls, *, rounds, budget, turn=_TURN):
    """Median processor seconds of every call, and the number of rounds.

    Parameters
    ----------
    calls : list of callables without parameters
        The rivals. Every round gives each of them a turn, every second round in the opposite order.
    rounds : tuple of two ints
        The least and the most rounds. One is enough where it takes longer than ten seconds.
    budget : float
        Processor seconds after which no round beyond the least begins.
    turn : float, default=0.02
        Seconds that a turn takes at least.
    """
    least, most = rounds
    times, begun = [], time.process_time()
    while len(times) < most:
        row = np.empty(len(calls))
        for i in range(len(calls))[:: 1 if len(times) % 2 == 0 else -1]:
            row[i] = _seconds_a_call(calls[i], turn)
        times.append(row)
        spent = time.process_time() - begun
        if spent >= budget and (len(times) >= least or spent >= _LONG_ROUND * len(times)):
            break
    return np.median(times, axis=0).tolist(), len(times)


_MEMORY = """
import ctypes, pathlib, re, time, tracemalloc, warnings
import numpy as np
warnings.simplefilter("ignore")

def megabytes(field):
    return int(re.search(field + r":\\s+(\\d+)", pathlib.Path("/proc/self/status").read_text())[1]) * 1024 / 1e6

{make}
{imports}
call = {call}
kept = call(*make({small}))
inputs = make({n})
del kept
begun = time.process_time()
if {traced}:
    tracemalloc.start()
    kept = call(*inputs)
    extra = tracemalloc.get_traced_memory()[1] / 1e6
else:
    if hasattr(ctypes.CDLL(None), "malloc_trim"):
        ctypes.CDLL(None).malloc_trim(0)  # what making the inputs left over would be used again, unseen
    pathlib.Path("/proc/self/clear_refs").write_text("5")  # forget the peak of imports and compilers
    before = megabytes("VmRSS")
    kept = call(*inputs)
    extra = megabytes("VmHWM") - before
print(extra, time.process_time() - begun)
"""


def extra_megabytes(make, imports, call, *, n, small=300, traced=False):
    """Peak memory of a call beyond what the process held before it, its result included, and its processor seconds.

    The high-water mark of resident memory in a fresh process, since compiled code and torch allocate where Python does
    not see it; or, `traced`, what numpy and Python allocate, where that is all there is.

    Parameters
    ----------
    make : str
        Code that defines make(n), which returns the parameters of the call.
    imports, call : str
        Code that runs before, and an expression for the function.
    n, small : int
        Size of the call, and of the one before it that loads and compiles.
    traced : bool, default=False
    """
    code = _MEMORY.format(make=make, imports=imports, call=call, n=n, small=small, traced=traced)
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    if run.returncode:
        raise RuntimeError(f"{call} ended with:\n{run.stderr}")
    return [float(figure) for figure in run.stdout.split()[-2:]]


def fitted_exponent(sizes, seconds):
    """Slope of log seconds on log size over the larger half of the sizes."""
    half = len(sizes) // 2
    return float(np.polyfit(np.log(sizes[half:]), np.log(seconds[half:]), 1)[0])


# --- the rows --------------------------------------------------------------------------------------------------------


def _judged(values, factors, promised, allowance=0.0):
    """Bars on the ratios of peers' values to ours."""
    found = []
    for peer, factor in (factors or {}).items():
        if values.get(peer) is None:
            continue
        text = f"{factor:g} times faster than {peer}" if factor > 1 else f"no slower than {peer}"
        if factor < 1:
            text = f"at most {1 / factor:.3g} times {peer}"
        met = values["skalign"] <= values[peer] / factor + allowance
        found.append({"text": text, "met": bool(met), "promised": promised})
    return found


class Bench:
    """Comparisons of one test; every method adds rows to the document before it asserts.

    Parameters
    ----------
    document : _table.Document
    family : str
    """

    def __init__(self, document, family):
        self.document, self.family = document, family
        self.quick = document.quick

    def _add(self, what, size, unit, values, bars, **more):
        ours = values["skalign"]
        peers = {
            name: {"missing": "not installed"} if value is None else {"value": value, "ratio": value / max(ours, 1e-9)}
            for name, value in values.items()
            if name != "skalign"
        }
        row = {"family": self.family, "what": what, "size": size, "unit": unit, "ours": ours, "peers": peers}
        self._judge({**row, "bars": bars, **more})

    def _judge(self, row):
        """Add a row and assert its promises. A quick run drops bars, which were set for other sizes."""
        if self.quick:
            row["bars"] = []
        self.document.add("rows", row)
        missed = [bar["text"] for bar in row["bars"] if bar["promised"] and not bar["met"]]
        assert not missed, f"{row['what']}, {row['size']}: missed {missed}: {row['ours']:.4g} beside {row['peers']}"

    def compare(
        self, what, ours, peers, *, size, same=None, bars=None, goals=None, allowance=0.0, at_most=None, rounds=(3, 31),
        budget=2.0,
    ):  # fmt: skip
        """Check that answers are equal, then time rivals in turn.

        Parameters
        ----------
        what, size : str
            What is timed, and on how much.
        ours : callable without parameters
        peers : dict of callables without parameters or None
            None is a peer that is not installed.
        same : float, callable, or dict of them
            Absolute tolerance, or a function of our answer and the peer's that asserts; by peer where they differ.
        bars, goals : dict of floats, optional
            By peer: our seconds times this are at most the peer's, plus `allowance` seconds.
        allowance : float, default=0.0
        at_most : float, optional
            A bar in seconds for ours.
        rounds, budget
            See `processor_medians`; a quick run makes one to five rounds in a tenth of a second.
        """
        there = {name: call for name, call in peers.items() if call is not None}
        answer = ours()
        for name, call in there.items():
            check = same[name] if isinstance(same, dict) else same
            if callable(check):
                check(answer, call())
            else:
                np.testing.assert_allclose(answer, call(), rtol=0, atol=check, err_msg=name)
        turn = _TURN
        if self.quick:
            rounds, budget, turn = (1, 5), 0.1, _TURN / 4
        seconds, made = processor_medians([ours, *there.values()], rounds=rounds, budget=budget, turn=turn)
        values = dict.fromkeys(["skalign", *peers]) | dict(zip(["skalign", *there], seconds))
        judged = _judged(values, bars, True, allowance) + _judged(values, goals, False, allowance)
        if at_most is not None:
            judged.append({"text": f"at most {at_most:g} s", "met": seconds[0] <= at_most, "promised": True})
        self._add(what, size, "s", values, judged, rounds=made)

    def memory(self, what, ours, peers, *, make, n, size, small=300, at_most=None, traced=False):
        """Compare extra memory in fresh processes.

        Parameters
        ----------
        what, size : str
        ours : tuple of two str
            Imports, and an expression for the function.
        peers : dict of tuples of three str
            The module that has to be installed, imports, and an expression for the function.
        make, n, small, traced
            See `extra_megabytes`.
        at_most : float, optional
            A bar in MB for ours.
        """
        measured = {"skalign": extra_megabytes(make, *ours, n=n, small=small, traced=traced)}
        for name, (module, *program) in peers.items():
            there = importlib.util.find_spec(module) is not None
            measured[name] = extra_megabytes(make, *program, n=n, small=small, traced=traced) if there else None
        values = {name: None if pair is None else pair[0] for name, pair in measured.items()}
        bars = []
        if at_most is not None:
            bars.append({"text": f"at most {at_most:g} MB", "met": values["skalign"] <= at_most, "promised": True})
        seconds = {name: pair[1] for name, pair in measured.items() if pair is not None}
        unit = "MB, arrays" if traced else "MB"
        self._add(what, size, unit, values, bars, seconds=seconds)
        return values

    def record(self, what, value, *, size="", unit="", peers=None, bars=None, goals=None):
        """A figure that is no time: how good, how far apart.

        Parameters
        ----------
        what : str
        value : float
        size, unit : str, default=""
        peers : dict of floats, optional
        bars, goals : dict of bools, optional
            What was promised or set as a goal, in words, and whether it holds.
        """
        judged = [
            {"text": text, "met": bool(met), "promised": promised}
            for texts, promised in ((bars or {}, True), (goals or {}, False))
            for text, met in texts.items()
        ]
        row = {"family": self.family, "what": what, "size": size, "unit": unit, "ours": float(value)}
        values = {name: {"value": float(other)} for name, other in (peers or {}).items()}
        self._judge({**row, "peers": values, "bars": judged})


def growth(document, family, what, make, sizes, *, of, theory, interval):
    """Time a call at growing sizes and fit the exponent.

    Parameters
    ----------
    document : _table.Document
    family, what, of : str
        The second is what is timed, the last what grows.
    make : callable
        From a size to a call without parameters.
    sizes : list of int
        A quick run takes the first three.
    theory : str
        What the exponent should be, and why.
    interval : tuple of two floats
        Where theory has the exponent over the larger half of the sizes; a full run fails above it alone.
    """
    if document.quick:
        sizes = sizes[:3]
    calls = [make(n) for n in sizes]
    for call in calls:
        call()
    rounds, budget, turn = ((1, 3), 0.1, 0.0) if document.quick else ((3, 31), 0.5, _TURN)
    seconds, made = processor_medians(calls, rounds=rounds, budget=budget, turn=turn)
    exponent, (least, most) = fitted_exponent(sizes, seconds), interval
    within = None if document.quick else least <= exponent <= most
    entry = {
        "family": family, "what": what, "size": of, "sizes": list(sizes), "seconds": seconds, "rounds": made,
        "exponent": exponent, "theory": theory, "interval": [least, most], "within": within,
    }  # fmt: skip
    document.add("growth", entry)
    assert document.quick or exponent <= most, f"{what} grows with {of}^{exponent:.2f}, above {most}: {seconds}"
