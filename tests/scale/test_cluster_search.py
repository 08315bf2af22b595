"""A search over Views on two worker processes: what is sent, what a dead worker costs, and what comes out."""

import os
import pickle
import signal
import sys
import threading
import time
import weakref
from itertools import chain

import joblib
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline

from skalign import CCA, Domains, Fuse, Precomputed, Views

N = 2_000
GRID = {"cca__shrinkage": [1e-3, 1e-2, 1e-1, 0.5], "cca__n_components": [2, 4]}


def problem():
    rng = np.random.default_rng(0)
    shared = rng.normal(size=(N, 4))
    views = Views({name: shared @ rng.normal(size=(4, 30)) + rng.normal(size=(N, 30)) for name in "ab"})
    return views, (shared[:, 0] > 0).astype(int)


def search(cv):
    return GridSearchCV(make_pipeline(CCA(), Fuse(), LogisticRegression()), GRID, cv=cv)


def assert_same_search(ours, theirs):
    scores = [key for key in theirs.cv_results_ if "test_score" in key]
    assert len(scores) >= 5
    for key in scores:
        np.testing.assert_array_equal(ours.cv_results_[key], theirs.cv_results_[key])
    assert ours.best_params_ == theirs.best_params_


def test_views_are_sent_once(client, monkeypatch):
    views, y = problem()
    pickled = []

    def getstate(self):
        pickled.append(self)
        return vars(self).copy()

    monkeypatch.setattr(Views, "__getstate__", getstate)  # in this process: nothing else sends them
    with joblib.parallel_config(backend="dask"):
        ours = search(KFold(3)).fit(views, y)
    assert pickled == [views]  # for 24 fits
    monkeypatch.undo()
    assert_same_search(ours, search(KFold(3)).fit(views, y))


def test_a_dead_worker_does_not_lose_the_search(client, cluster):
    views, y = problem()
    splits = list(KFold(3).split(views))
    serial = search(splits).fit(views, y)
    workers = client.run(os.getpid)
    client.amm.stop()
    killed = []

    def kill():
        while not any(str(key).startswith("batch_of") for key in list(cluster.scheduler.tasks)):
            time.sleep(0.01)
        killed.append(min(workers.values()))
        os.kill(killed[0], signal.SIGKILL)

    thread = threading.Thread(target=kill)
    with joblib.parallel_config(backend="dask", scatter=[views, y, *chain.from_iterable(splits)]):
        thread.start()
        ours = search(splits).fit(views, y)
    thread.join()
    client.wait_for_workers(2, timeout=30)
    assert killed[0] not in client.run(os.getpid).values()
    assert_same_search(ours, serial)


@pytest.mark.parametrize(
    ("view", "least"),
    [
        (np.zeros((1_000, 4)), 32_000),
        (np.zeros((2_000, 8))[::2, :4], 32_000),
        (np.zeros((1_000, 4), dtype=np.float32), 16_000),
        (sp.csr_array(np.ones((1_000, 4))), 32_000),
        (pd.DataFrame(np.zeros((1_000, 4))), 32_000),
        (["a sentence of some length"] * 1_000, 50_000),
        ([np.zeros((20, 4))] * 1_000, 640_000),
        (Precomputed(np.eye(1_000)), 8_000_000),
    ],
    ids=["array", "slice", "float32", "sparse", "frame", "strings", "bags", "kernel"],
)
def test_size_in_memory_counts_the_data(view, least):
    views = Views(a=view, b=np.zeros(1_000))
    assert least + 8_000 <= sys.getsizeof(views) <= 3 * least + 20_000
    assert weakref.ref(views)() is views
    assert (
        abs(sys.getsizeof(views[:500]) - sys.getsizeof(views) / 2) <= 0.1 * sys.getsizeof(views) or least == 8_000_000
    )


def test_size_of_domains_and_of_what_is_not_in_memory():
    assert sys.getsizeof(Domains(source=np.zeros((1_000, 4)), target=np.zeros((10, 2)))) >= 32_160
    da = pytest.importorskip("dask.array")
    lazy = Views(a=da.zeros((10_000, 1_000), chunks=(1_000, 1_000)))
    assert sys.getsizeof(lazy) < 10_000
    assert len(pickle.dumps(lazy)) < 20_000
