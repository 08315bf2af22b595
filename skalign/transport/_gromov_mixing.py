"""Anderson's acceleration of a fixed point of costs."""

from __future__ import annotations

import numpy as np
from array_api_compat import device as device_of

from .._backend import namespace, to_numpy

_CALM = 2  # contractions in a row before steps are mixed: a saddle repels plain steps, and would attract mixed ones


class Mixing:
    """The next iterate of ``x <- G(x)`` from the last few, by least squares on their residuals ``G(x) - x``.

    Parameters
    ----------
    memory : int, default=5
        How many differences of iterates are kept.

    References
    ----------
    H. F. Walker, P. Ni, "Anderson acceleration for fixed-point iterations", SIAM J. Numerical Analysis 49(4), 2011.
    """

    def __init__(self, memory=5):
        self.memory = memory
        self.clear()

    def clear(self):
        """Forget what was seen."""
        self._last = self._history = None
        self._seen, self._calm = 0, 0

    def next(self, image, g, step, norm):
        """The mixed iterate and potentials, or None where a plain step is better.

        Parameters
        ----------
        image, step : array of shape (n, m)
            ``G(x)`` and ``G(x) - x``.
        g : array of shape (m,)
            Potentials that belong to the image, and are mixed alike.
        norm : float
            The norm of the step.
        """
        xp = namespace(image)
        last, self._last = self._last, (image, g, step, norm)
        if last is None:
            return None
        self._calm = self._calm + 1 if norm < last[3] else 0
        like_image = {"dtype": image.dtype, "device": device_of(image)}
        if self._history is None:
            self._history = xp.empty((self.memory, 2, *image.shape), **like_image)  # of steps and of images
            self._gs = xp.empty((self.memory, g.shape[0]), **like_image)
            self._products = np.empty((self.memory, 2, self.memory, 2))
        slot, self._seen = self._seen % self.memory, self._seen + 1
        filled = min(self._seen, self.memory)
        self._history[slot, 0, ...], self._history[slot, 1, ...] = step - last[2], image - last[0]
        self._gs[slot, :] = g - last[1]
        newest = xp.reshape(self._history[slot, ...], (2, -1))
        products = to_numpy(xp.reshape(self._history[:filled, ...], (2 * filled, -1)) @ newest.T).reshape(filled, 2, 2)
        self._products[:filled, :, slot, :] = products
        self._products[slot, :, :filled, :] = products.transpose(2, 0, 1)
        ss, si, is_, ii = (self._products[:filled, i, :filled, j] for i in (0, 1) for j in (0, 1))
        rounding = 50.0 * float(xp.finfo(image.dtype).eps) * np.eye(filled)
        ridge = rounding * np.trace(ss)
        if self._calm < _CALM or not ridge[0, 0] > 0:
            return None
        # Moves are images less steps. What the map makes of them shows whether it expands some direction: the fixed
        # point is a saddle then, which plain steps leave.
        moves = ii - is_ - si + ss + rounding * np.trace(ii + ss)
        growth = np.linalg.eigvals(np.linalg.solve(moves, ii - si))
        if growth.real.max() > 1.0:
            return None
        steps, images = (xp.reshape(self._history[:filled, i, ...], (filled, -1)) for i in (0, 1))
        weights = np.linalg.solve(ss + ridge, to_numpy(steps @ xp.reshape(step, (-1,))).astype(np.float64))
        weights = xp.asarray(weights, **like_image)
        return image - xp.reshape(weights @ images, image.shape), g - weights @ self._gs[:filled, :]
