"""The door of `ChangepointSegmenter`: one collection of signals, or Views of several."""

from __future__ import annotations

from sklearn.utils.validation import check_is_fitted

from ...views import Views
from ._cutting import check_room, is_profile, shortest_segment
from ._input import as_signals
from ._pooling import as_poolings, pool_segment


class CollectionsMixin:
    """What is done to one collection is done to every view."""

    def _views(self, X):
        """The views of X by name; a plain collection is called None."""
        return dict(X.items()) if isinstance(X, Views) else {None: X}

    def _open(self, X, name=None, n_channels=None):
        """Checked signals, as `Sequences`."""
        label = "" if name is None else f"View {name!r}: "
        shortest = shortest_segment(self.min_size, self.cost)
        signals = as_signals(X, label, type(self).__name__, min_frames=2 * shortest, n_channels=n_channels)
        if not is_profile(self.cost):
            check_room(signals.lengths, self.n_changepoints, shortest, self.jump, label)
        return signals

    def _layout(self, signals):
        """Channels of the signals, and the names of the features that a segment is pooled to."""
        functions = as_poolings(self.pooling)
        pooled = pool_segment(signals[0], functions)
        return signals.width, [f"{f}{i}" for f, values in zip(functions, pooled) for i in range(len(values))]

    def _each(self, X, function):
        """``function(signals)`` of a collection, or of every view by name."""
        check_is_fitted(self, "penalty_scale_")
        self._check_parameters()  # they may have been set since the fit
        results = {}
        for name, view in self._views(X).items():
            if name not in self._layouts:
                seen = [view for view in self._layouts if view is not None]
                what = "one collection" if name is None else f"the view {name!r}"
                raise ValueError(f"{type(self).__name__} was fitted on {seen or 'one collection'}, not on {what}.")
            results[name] = function(self._open(view, name, self._layouts[name][0]))
        return in_the_form_given(results)


def in_the_form_given(results):
    """Results by view, or those of the one collection there was."""
    return results.get(None, results)
