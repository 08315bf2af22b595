"""Cut one view out of a fitted multi-view pipeline."""

from __future__ import annotations

from typing import Any

from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from ._fuse import Fuse


def select_view(estimator: Any, view: str) -> Pipeline:
    """The ordinary one-view Pipeline inside a fitted multi-view one.

    What a server that only ever sees text has to load: it holds nothing of the other views.

    Parameters
    ----------
    estimator : Pipeline, search or aligner
        Fitted on Views. A fitted search is replaced by its best estimator.
    view : str
        The view that will be given.

    Returns
    -------
    Pipeline
        Fitted, over that view alone, with the same output as ``estimator`` gives from that view.

    Raises
    ------
    ValueError
        When a step needs other views as well (``Fuse("concat")``), or there is no such view.
    TypeError
        For a step that takes Views but cannot be cut.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from skalign import CCA, Fuse, Views, select_view
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(50, 4))
    >>> views = Views(image=X, text=X[:, :3] + 0.1)
    >>> pipe = make_pipeline(CCA(2), Fuse(), LogisticRegression()).fit(views, X[:, 0] > 0)
    >>> text_only = select_view(pipe, "text")
    >>> [name for name, _ in text_only.steps]
    ['cca', 'logisticregression']
    >>> bool((text_only.predict(views["text"]) == pipe.predict(views[["text"]])).all())
    True
    """
    estimator = getattr(estimator, "best_estimator_", estimator)
    check_is_fitted(estimator)
    steps = estimator.steps if isinstance(estimator, Pipeline) else [(type(estimator).__name__.lower(), estimator)]
    selected, in_views = [], True
    for name, step in steps:
        if step is None or (isinstance(step, str) and step == "passthrough"):
            continue
        if in_views:
            part = select_view(step, view) if isinstance(step, Pipeline) else _of_step(step, view)
            in_views = not _holds_fuse(step)
        else:
            part = step
        if isinstance(part, str) and part == "drop":
            raise ValueError(f"View {view!r} is dropped by step {name!r}.")
        if not (isinstance(part, str) and part == "passthrough"):
            selected.append((name, part))
    return Pipeline(selected or [("passthrough", "passthrough")])


def _holds_fuse(step):
    return isinstance(step, Fuse) or (isinstance(step, Pipeline) and any(_holds_fuse(part) for _, part in step.steps))


def _of_step(step, view):
    if hasattr(step, "encoders_"):
        parts = step.encoders_
    elif hasattr(step, "_select_view"):
        if view not in (getattr(step, "view_names_in_", None) or getattr(step, "columns_", None) or [view]):
            raise ValueError(f"{type(step).__name__} was fitted without a view {view!r}.")
        return step._select_view(view)
    else:
        raise TypeError(f"{type(step).__name__} takes Views as a whole and has no part for one view.")
    if view not in parts:
        raise ValueError(f"{type(step).__name__} was fitted on the views {list(parts)}, not on {view!r}.")
    return parts[view]
