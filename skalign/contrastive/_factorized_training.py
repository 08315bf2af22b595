"""What the parameters of `FactorizedContrastiveAligner` mean for its training, and what follows it."""

from __future__ import annotations

import copy
from functools import cached_property
from numbers import Real

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ..correlation._canonical import check_choice
from ..metrics._ranking import _check_groups
from ..views import Views
from ._factorized_encoder import BLOCKS
from ._score import N_CANDIDATES, rank_score

_COMPARED_BY = "exponential"  # falls with the distance, as the critic of the shared blocks does


class FactorizedTrainingMixin:
    """Reads the constructor parameters of `FactorizedContrastiveAligner`."""

    def _labels(self, X, y):
        """Labels that were checked, or None."""
        if not self.supervised:
            return None
        if isinstance(X, Views) and y is not None:
            return _check_groups(y, "y", len(X))
        given = "y is None" if isinstance(X, Views) else "fit(X, Y) has no place for them"
        raise ValueError(f"supervised=True takes labels, but {given}: call fit(Views(...), y).")

    def _train_nets(self, X, y, groups, max_epochs, go_on, validate):
        classes, before = None if groups is None else np.unique(groups), getattr(self, "classes_", None)
        if classes is not None and len(classes) < 2:
            raise ValueError("y holds one label only, which tells nothing: there should be two or more.")
        if go_on and hasattr(self, "_state") and not np.array_equal(classes, before):
            raise ValueError(f"Training goes on with the labels {before}; these are {classes}.")
        for of_last_fit in ("classes_", "contributions_"):
            vars(self).pop(of_last_fit, None)
        if classes is not None:
            self.classes_ = classes
        self._rows_of_fit = []
        super()._train_nets(X, y, groups, max_epochs, go_on, validate)
        del self._rows_of_fit
        return self

    def _split(self, n_rows, groups, rng):
        return super()._split(n_rows, None, rng)  # every label has to be trained on

    def _n_outputs(self):
        return self.n_shared + self.n_unique

    def _check_options(self):
        super()._check_options()
        check_choice("blocks", self.blocks, BLOCKS)
        for name in ("upper_weight", "decorrelation"):
            value = getattr(self, name)
            if not isinstance(value, Real) or isinstance(value, bool) or not 0 <= value < np.inf:
                raise ValueError(f"{name} must be a number of at least 0, got {value!r}.")

    def _objective(self, encoders):
        from ._factorized_objective import FactorizedObjective

        n_classes = len(self.classes_) if self.supervised else 0
        return FactorizedObjective(
            list(encoders), self.n_shared, self.n_unique, n_classes, self.upper_weight, self.decorrelation
        )

    def _rows(self, tables, encoders, rows, groups, device):
        plain = super()._rows(tables, encoders, rows, groups, device)
        if not self.supervised:
            from ._factorized_objective import AugmentedRows

            plain = AugmentedRows(plain.views, self._augmentations(list(tables)))
        self._rows_of_fit.append(plain)
        return plain

    def _augmentations(self, names):
        augmentations = self._by_view("augmentations", names)
        noise = self._by_view("input_noise", names)
        for name, change in augmentations.items():
            if change is not None and not callable(change):
                raise ValueError(
                    f"View {name!r}: augmentations must be functions of a tensor, or None, got {change!r}."
                )
            if change is None and not noise[name]:
                raise ValueError(
                    f"View {name!r} is not augmented: without labels it needs one of augmentations, or input_noise."
                )
        return augmentations

    def _held_out_score(self, module, train, valid):
        return module.objective.held_out_bound(module.outputs(valid), valid.groups)

    def _finish(self, module, encoders, train, valid):
        from .._nets import to_arrays
        from ._contributions import augmented_outputs, thinned

        for name, encoder in encoders.items():
            partners = [Z[:, : self.n_shared] for other, Z in train.items() if other != name]
            encoder.set_blocks(train[name], self.n_shared, self.blocks, partners)
        fitted, held_out = self._rows_of_fit[0], self._rows_of_fit[-1]
        if self.supervised:
            kept = [thinned(train), thinned(train if valid is None else valid)]
            kept += [thinned({"y": rows.groups})["y"] for rows in (fitted, held_out)]
        else:
            (train, train_copies), (test, test_copies) = (augmented_outputs(module, r) for r in (fitted, held_out))
            kept = [train, test, train_copies, test_copies]
        self._for_contributions = to_arrays(kept)

    @cached_property
    def contributions_(self):  # from what the fit left: training critics takes longer than a small fit
        check_is_fitted(self, "encoders_")
        from .._nets import to_tensors
        from ._contributions import supervised_contributions, unsupervised_contributions

        estimate = supervised_contributions if hasattr(self, "classes_") else unsupervised_contributions
        return estimate(*to_tensors(self._for_contributions))

    _compared_by = _COMPARED_BY

    def similarity(self, X, y=None, *, views=None, function=None):
        """How well every row of one view matches every row of another, by their shared blocks.

        Parameters
        ----------
        X : Views, or array-like of shape (n_samples, n_features)
            Two views, or rows of the first.
        y : Views or array-like of shape (n_samples_y, n_features_y), default=None
            Rows of the second; any number.
        views : pair of str, default=None
            Which views to compare; needed when there are three or more.
        function : str or callable, default=None
            See `skalign.metrics.pairwise_similarity`. None is "exponential", exp(-distance / width), which ranks rows
            as the critic of the training does: shared blocks were trained by their distances, not by angles.

        Returns
        -------
        array of shape (n_samples, n_samples_y)
        """
        return super(FactorizedTrainingMixin, self._of_shared()).similarity(X, y, views=views, function=function)

    def _of_shared(self):
        """This aligner, whose encoders give the shared blocks."""
        check_is_fitted(self, "encoders_")
        other = copy.copy(self)
        other.encoders_ = {name: encoder.giving("shared") for name, encoder in self.encoders_.items()}
        return other

    def _rank_score(self, X, y):
        return rank_score(self._of_shared()._embed_to_score(X, y), N_CANDIDATES, function=_COMPARED_BY)
