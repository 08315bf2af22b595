"""What is left when the disk is full, the process is killed, or memory ends: an error in words and the state before."""

import errno
import os
import pickle
import signal
import subprocess
import sys

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone

from skalign import ContrastiveAligner, DeepCCA, Views

torch = pytest.importorskip("torch")
pytest.importorskip("skorch")
from skorch.callbacks import Callback  # noqa: E402

from skalign import _training_checkpoint  # noqa: E402

NETS = {
    "Contrastive": ContrastiveAligner(3, hidden_layer_sizes=(16,), max_epochs=8, batch_size=64, random_state=0),
    "DeepCCA": DeepCCA(3, hidden_layer_sizes=(16,), max_epochs=8, random_state=0),
    "fp16": ContrastiveAligner(3, hidden_layer_sizes=(16,), max_epochs=8, mixed_precision="fp16", random_state=0),
}
unix = pytest.mark.skipif(os.name != "posix", reason="limits and signals of Unix")


def make_views():
    rng = np.random.default_rng(0)
    S = rng.normal(size=(300, 3))
    return Views(a=S @ rng.normal(size=(3, 6)), b=np.tanh(S @ rng.normal(size=(3, 5))))


@pytest.fixture(scope="module")
def views():
    return make_views()


def assert_same_fit(one, other):
    assert one.loss_curve_ == other.loss_curve_
    assert one.best_epoch_ == other.best_epoch_
    for name, encoder in one.encoders_.items():
        for key, W in encoder.net_.weights.items():
            assert_array_equal(W, other.encoders_[name].net_.weights[key])


def fails_from(epoch, function, error):
    """`function`, which raises from its call number `epoch` on."""
    calls = []

    def failing(*args):
        calls.append(args)
        if len(calls) >= epoch:
            raise error
        return function(*args)

    return failing


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("name", list(NETS))
def test_a_full_disk_leaves_the_last_checkpoint(name, call, views, tmp_path, monkeypatch):
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    aligner = clone(NETS[name]).set_params(checkpoint=tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(_training_checkpoint.os, call, fails_from(4, getattr(os, call), full))
        with pytest.raises(
            OSError, match="after epoch 4 could not be written.*No space left.*epoch 3 is intact"
        ) as raised:
            aligner.fit(views)
    (left,) = tmp_path.iterdir()
    assert (raised.value.errno, raised.value.filename) == (errno.ENOSPC, str(left))
    assert len(torch.load(left, weights_only=False)["history"]) == 3
    assert not hasattr(aligner, "encoders_")
    assert_same_fit(aligner.fit(views), clone(NETS[name]).fit(views))
    assert not list(tmp_path.iterdir())


def test_a_disk_that_is_full_from_the_start_leaves_nothing(views, tmp_path, monkeypatch):
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    monkeypatch.setattr(_training_checkpoint.os, "fsync", fails_from(1, None, full))
    with pytest.raises(OSError, match="after epoch 1 could not be written.*there is none from before"):
        clone(NETS["Contrastive"]).set_params(checkpoint=tmp_path).fit(views)
    assert not list(tmp_path.iterdir())


def run(code, *args):
    folder = os.path.dirname(os.path.abspath(__file__))
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {folder!r})\n" + code, *args]
    return subprocess.run(command, capture_output=True, text=True)


LIMITED = """
import resource, signal
from test_failure import NETS, make_views
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))  # the system refuses to write on
try:
    NETS["Contrastive"].set_params(checkpoint=sys.argv[1]).fit(make_views())
except OSError as error:
    print(error)
"""


@unix
def test_a_file_that_the_system_cuts_short(tmp_path):
    done = run(LIMITED, str(tmp_path))
    assert "after epoch 1 could not be written (File too large)" in done.stdout, done.stderr
    assert str(tmp_path) in done.stdout
    assert not list(tmp_path.iterdir())


KILLED = """
import os, signal
from test_failure import NETS, make_views, fails_from
from skalign import _training_checkpoint

class Killed:
    def __call__(self, number):
        self.calls = getattr(self, "calls", 0) + 1
        if self.calls == 4:
            os.kill(os.getpid(), signal.SIGKILL)

_training_checkpoint.os.fsync = Killed()
NETS[sys.argv[2]].set_params(checkpoint=sys.argv[1]).fit(make_views())
"""


@unix
@pytest.mark.parametrize("name", ["Contrastive", "fp16"])
def test_killed_in_the_middle_of_writing(name, views, tmp_path):
    done = run(KILLED, str(tmp_path), name)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".pt", ".tmp"]
    epochs = []

    class Count(Callback):
        def on_epoch_begin(self, net, **kwargs):
            epochs.append(len(net.history))

    resumed = clone(NETS[name]).set_params(checkpoint=tmp_path, callbacks=[Count()]).fit(views)
    assert epochs == [4, 5, 6, 7, 8]
    assert_same_fit(resumed, clone(NETS[name]).fit(views))
    assert not list(tmp_path.iterdir())


@unix
def test_leftovers_of_others_that_still_write_stay(tmp_path):
    path = tmp_path / "net.pt"
    names = [f"net.{os.getppid()}.tmp", f"net.{os.getpid()}.tmp", "net.999999999.tmp", "other.999999999.tmp"]
    for name in names:
        (tmp_path / name).write_bytes(b"half")
    _training_checkpoint.remove_leftovers(path)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([names[0], names[3]])


def test_a_damaged_checkpoint_is_named(views, tmp_path):
    class Stop(Callback):
        def on_epoch_begin(self, net, **kwargs):
            if len(net.history) == 3:
                raise RuntimeError("stop")

    aligner = clone(NETS["Contrastive"]).set_params(checkpoint=tmp_path, callbacks=[Stop()])
    with pytest.raises(RuntimeError, match="stop"):
        aligner.fit(views)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(OSError, match=f"checkpoint {path} cannot be read.*Delete it"):
        aligner.set_params(callbacks=None).fit(views)


# --- memory ---------------------------------------------------------------------------------------------------------

ERRORS = [
    MemoryError(),
    torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory: 4294967296 bytes"),
    RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 4294967296 bytes."),
]


@pytest.mark.parametrize("error", ERRORS, ids=["numpy", "device", "linux", "windows"])
def test_out_of_memory_says_what_takes_less(error, views, tmp_path):
    class Break(Callback):
        def on_batch_begin(self, net, **kwargs):
            if len(net.history) == 3:
                raise error

    aligner = clone(NETS["Contrastive"]).set_params(max_epochs=4).fit(views)
    before = pickle.dumps(aligner.encoders_)
    aligner.set_params(callbacks=[Break()], checkpoint=tmp_path)
    with pytest.raises(
        MemoryError, match="in epoch 3 with batches of 64 rows.*encode_batch_size below 64.*batch_size"
    ) as e:
        aligner.fit(views)
    (path,) = tmp_path.iterdir()
    assert f"checkpoint {path} is intact" in str(e.value)
    assert pickle.dumps(aligner.encoders_) == before
    assert_same_fit(
        aligner.set_params(callbacks=None).fit(views), clone(NETS["Contrastive"]).set_params(max_epochs=4).fit(views)
    )


def test_other_errors_stay_what_they_are(views):
    class Break(Callback):
        def on_batch_begin(self, net, **kwargs):
            raise RuntimeError("something else")

    with pytest.raises(RuntimeError, match="^something else$"):
        clone(NETS["Contrastive"]).set_params(callbacks=[Break()]).fit(views)


STARVED = """
import resource
import numpy as np, torch
torch.set_num_threads(1)
from skalign import ContrastiveAligner, Views

rng = np.random.default_rng(0)
views = Views(a=rng.normal(size=(20000, 4)), b=rng.normal(size=(20000, 4)))
aligner = ContrastiveAligner(2, hidden_layer_sizes=(20000,), batch_size=20000, max_epochs=1, random_state=0)  # 1.6 GB
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 600_000_000, resource.RLIM_INFINITY))
try:
    aligner.fit(views)
except MemoryError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits of Linux")
def test_memory_that_the_system_refuses():
    done = run(STARVED)
    assert "Memory ended in epoch 1 with batches of 20000 rows" in done.stdout, done.stdout + done.stderr
