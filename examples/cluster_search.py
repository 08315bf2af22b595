"""
A grid search on a cluster
==========================

Which shrinkage and which kernel of the colours go best with names? scikit-learn's own search asks it, and joblib's Dask
backend carries the fits to a cluster: here two processes on your machine. ``Client(address)`` of a scheduler takes a
real one, and nothing else changes.

The views are sent to the workers once, and every worker that dies leaves a copy of all data behind.
"""

import pickle
import time
from itertools import chain

import joblib
import numpy as np
from distributed import Client, LocalCluster
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skalign import KernelCCA, PerView, Views
from skalign.datasets import load_color_names


def main():
    data = load_color_names()
    views = Views(name=data.names, color=data.rgb)
    letters = TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 4))
    pipe = make_pipeline(
        PerView({"name": letters, "color": StandardScaler()}),
        KernelCCA(3, kernel={"name": "cosine", "color": "rbf"}, gamma="median"),
    )
    grid = {
        "kernelcca__shrinkage": [1e-6, 1e-5, 1e-4, 1e-3],
        "kernelcca__kernel": [{"name": "cosine", "color": kernel} for kernel in ("rbf", "exponential")],
    }
    # A list, so that these very arrays of rows go through the search.
    splits = list(KFold(3, shuffle=True, random_state=0).split(views))
    search = GridSearchCV(pipe, grid, cv=splits)

    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        # By itself Dask gives up second copies of what it could not compute again, and with its worker the last one.
        client.amm.stop()
        start = time.perf_counter()
        with joblib.parallel_config(backend="dask", scatter=[views, *chain.from_iterable(splits)]):
            search.fit(views)
        print(f"on {len(client.ncores())} workers: {time.perf_counter() - start:.1f} s")

    size, fits = len(pickle.dumps(views)) / 1e3, len(splits) * len(search.cv_results_["params"])
    print(f"the views take {size:.0f} kB: sent once, where {fits} fits would have carried {fits * size / 1e3:.1f} MB")
    serial = GridSearchCV(pipe, grid, cv=splits).fit(views)
    scores = [found.cv_results_["mean_test_score"] for found in (search, serial)]
    print(f"the same scores as without a cluster: {np.array_equal(*scores)}")
    print(f"best: {search.best_params_}, sum of held-out correlations {search.best_score_:.3f}")


if __name__ == "__main__":  # the processes of the cluster import this file
    main()
