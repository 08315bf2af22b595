"""Two processes train as one does with the whole batch: the same losses and gradients, and alike to the last bit."""

import importlib.util
import os
import pickle
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

torch = pytest.importorskip("torch")
pytest.importorskip("skorch")
pytest.importorskip("accelerate")

import skalign  # noqa: E402
from skalign import ContrastiveAligner, DeepCCA, Views  # noqa: E402
from skalign import _processes as processes_module  # noqa: E402
from skalign._processes import OneProcess, current_processes, shares  # noqa: E402

SCRIPT = Path(__file__).with_name("_distributed_fits.py")
STEPS = [
    "infonce", "three views", "siglip", "vse++", "groups", "bags", "in parts", "clipped", "cca", "cca of three", "ey",
    "reconstruction",
]  # fmt: skip


@pytest.fixture(scope="module")
def fits():
    spec = importlib.util.spec_from_file_location("_distributed_fits", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # for pickle
    spec.loader.exec_module(module)
    return module


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return str(listener.getsockname()[1])


def launch(folder, *args, size=2):
    """Run the script in processes that are told of each other as by ``torchrun``; what each of them found."""
    settings = os.environ | {
        "WORLD_SIZE": str(size), "LOCAL_WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port(),
        "PYTHONPATH": os.pathsep.join([str(Path(skalign.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]),
    }  # fmt: skip
    if sys.platform == "linux":
        settings["GLOO_SOCKET_IFNAME"] = "lo"
    processes = [
        subprocess.Popen(
            [sys.executable, str(SCRIPT), str(folder), *args],
            env=settings | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        for rank in range(size)
    ]  # fmt: skip
    try:
        outputs = [process.communicate(timeout=300)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0] * size, outputs
    return [pickle.loads((folder / f"{rank}.pkl").read_bytes()) for rank in range(size)], outputs


@pytest.fixture(scope="module")
def launched(tmp_path_factory, fits):
    return launch(tmp_path_factory.mktemp("launched"))


@pytest.fixture(scope="module")
def found(launched):
    return launched[0]


def together(gradients):
    return np.concatenate([gradient.ravel() for gradient in gradients.values()])


def assert_same_course(one, other):
    assert one["losses"] == other["losses"]
    assert one["scores"] == other["scores"]
    assert one["best"] == other["best"]
    assert_same_weights(one["weights"], other["weights"])


def assert_same_weights(one, other):
    assert one.keys() == other.keys()
    for key, W in one.items():
        assert_array_equal(W, other[key])


def assert_steps_of_one_process(mine, its):
    assert len(mine["losses"]) == len(its["losses"]) > 1
    assert_allclose(mine["losses"], its["losses"], rtol=1e-6)
    for a, b in zip(mine["gradients"], its["gradients"]):
        # Of all parameters together: shifts do not change correlations, and their gradients are rounding alone.
        assert np.linalg.norm(together(a) - together(b)) <= 1e-6 * np.linalg.norm(together(b))


def test_the_fits_are_all_looked_at(fits, found):
    assert list(fits.STEPS) == STEPS
    assert [each["size"] for each in found] == [2, 2]


@pytest.mark.parametrize("name", STEPS)
def test_steps_are_those_of_one_process(name, fits, found):
    alone = fits.steps(name)
    for each in found:
        assert_steps_of_one_process(each["steps"][name], alone)
    assert_same_weights(found[0]["steps"][name]["weights"], found[1]["steps"][name]["weights"])


def test_a_group_that_the_user_made(fits, tmp_path):
    alone = fits.steps("cca")
    for each in launch(tmp_path, "torch")[0]:
        assert_steps_of_one_process(each, alone)


@pytest.mark.slow
def test_three_processes_with_uneven_shares(fits, tmp_path):
    alone = fits.steps("cca")
    for each in launch(tmp_path, "torch", size=3)[0]:
        assert_steps_of_one_process(each, alone)


def test_every_process_encodes_its_share_with_its_own_noise(fits, found):
    alone = fits.draws()
    for whole, *parts in zip(alone, *(each["draws"] for each in found)):
        assert_array_equal(np.concatenate([rows for _, rows in parts]), whole[1])
        assert abs(len(parts[0][1]) - len(parts[1][1])) <= 1
        assert parts[0][0] != parts[1][0]
    assert len({number for number, _ in found[0]["draws"]}) == len(alone)


@pytest.mark.parametrize("name", ["ContrastiveAligner", "DeepCCA"])
def test_with_noise_and_early_stopping_all_end_alike(name, found):
    assert_same_course(*(each["noisy"][name] for each in found))


def test_without_a_seed_all_start_alike(found):
    assert_same_course(*(each["any seed"] for each in found))


def test_one_writes_checkpoints_and_all_resume(found):
    for each in found:
        assert each["stopped"] == "RuntimeError: stop"
        assert each["files"] == [".pt"]
        assert_same_course(each["resumed"], each["noisy"]["ContrastiveAligner"])


def test_an_error_of_one_is_an_error_of_all_and_leaves_them_able_to_go_on(found):
    for each in found:
        assert each["full disk"].startswith("OSError: [Errno 28] No space left on device")
    assert_same_course(*(each["after all"] for each in found))


def test_other_rows_are_refused_everywhere(found):
    for each in found:
        assert each["other rows"].startswith("ValueError: View 'a': the 2 processes hold different rows")


def test_batch_normalisation_is_refused(found):
    for each in found:
        assert each["batch_norm"].startswith("ValueError: View 'a': batch normalisation needs the whole batch")


def test_one_shows_progress(launched):
    assert ["epoch" in output for output in launched[1]] == [True, False]


# --- who trains with whom -------------------------------------------------------------------------------------------


def test_shares_are_all_rows_and_as_equal_as_can_be():
    for n in range(1, 40):
        for parts in range(1, n + 1):
            sizes = [part.stop - part.start for part in shares(n, parts)]
            assert sum(sizes) == n
            assert max(sizes) - min(sizes) <= 1
            assert np.concatenate([np.arange(n)[part] for part in shares(n, parts)]).tolist() == list(range(n))


def test_alone_where_nothing_was_launched():
    assert type(current_processes()) is OneProcess


def test_workers_and_threads_train_alone(monkeypatch, found):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setattr(processes_module.multiprocessing, "parent_process", lambda: "a search")
    assert type(current_processes()) is OneProcess
    assert [each["size in a thread"] for each in found] == [1, 1]


def test_missing_accelerate_is_named(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setattr(processes_module.multiprocessing, "parent_process", lambda: None)
    monkeypatch.setattr(processes_module, "find_spec", lambda name: None)
    rng = np.random.default_rng(0)
    with pytest.raises(ImportError, match=r"needs accelerate: pip install 'skalign\[scale\]'"):
        ContrastiveAligner(2).fit(Views(a=rng.normal(size=(30, 3)), b=rng.normal(size=(30, 3))))


def test_batches_with_fewer_rows_than_processes(monkeypatch):
    several = OneProcess()
    several.size = 4
    monkeypatch.setattr(processes_module, "current_processes", lambda: several)
    rng = np.random.default_rng(0)
    views = Views(a=rng.normal(size=(30, 3)), b=rng.normal(size=(30, 3)))
    for aligner in (ContrastiveAligner(2, batch_size=3), DeepCCA(1, objective="ey", batch_size=3)):
        with pytest.raises(ValueError, match="Each of 4 processes needs a row of every batch"):
            aligner.fit(views)
