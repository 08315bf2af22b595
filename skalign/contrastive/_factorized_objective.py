"""Factorised contrastive learning as the training of nets wants it."""

from __future__ import annotations

from itertools import combinations

import torch
import torch.nn.functional as F

from .._nets import to_arrays, to_tensors
from .._training import Objective, PairedRows
from ._factorized_terms import Critic, all_pairs, club, gaussian_scores, nce, relation, same_label

_CRITIC_RATE = 1e-3
# Part of the gradient of the penalty that reaches shared blocks without labels. With the whole of it unique blocks of
# few rows take what is shared, and shared blocks keep away from it; with labels, their heads see what is shared anyway.
_SHARED_YIELDS = 0.1


class Opponents:
    """Critics with an optimizer of their own, which learn where encoders are judged by what the critics know.

    They are no module, so that the optimizer of the encoders does not see them.

    Parameters
    ----------
    critics : dict of Critic
        By block and pair of views.
    """

    def __init__(self, critics):
        self.critics = critics
        parameters = [p for critic in critics.values() for p in critic.parameters()]
        self.optimizer = torch.optim.Adam(parameters, lr=_CRITIC_RATE, fused=True)

    def learn(self, loss):
        """One step on a loss that does not reach the encoders."""
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()

    def state(self):
        return {
            "critics": [critic.state_dict() for critic in self.critics.values()],
            "optimizer": self.optimizer.state_dict(),
        }

    def restore(self, state):
        for critic, weights in zip(self.critics.values(), state["critics"]):
            critic.load_state_dict(weights)
        self.optimizer.load_state_dict(state["optimizer"])


class AugmentedRows(PairedRows):
    """Paired rows that come in batches of two augmented copies, the second behind the first.

    Parameters
    ----------
    views : dict of str to tensor
        Prepared rows.
    augmentations : dict of str to callable or None
        By view; None copies.
    """

    def __init__(self, views, augmentations):
        super().__init__(views)
        self.augmentations = augmentations

    def __getitem__(self, rows):
        views, groups = super().__getitem__(rows)
        return {name: torch.cat([self._augment(name, X) for _ in range(2)]) for name, X in views.items()}, groups

    def _augment(self, name, X):
        change = self.augmentations[name]
        if change is None:
            return X
        changed = change(X)
        if not isinstance(changed, torch.Tensor) or changed.shape != X.shape:
            got = tuple(changed.shape) if isinstance(changed, torch.Tensor) else type(changed).__name__
            raise ValueError(f"View {name!r}: the augmentation of a tensor of shape {tuple(X.shape)} gave {got}.")
        return changed.to(X.dtype)


class FactorizedObjective(Objective):
    """Less S and every U, by bounds, and the correlation of the blocks.

    Parameters
    ----------
    names : list of str
        The views.
    n_shared, n_unique : int
        Widths of the blocks of every output, the shared one first.
    n_classes : int
        Number of labels; 0 for augmented copies.
    upper_weight, decorrelation : float
        Weights of what is taken off, and of the correlation of unique blocks with shared ones.
    """

    def __init__(self, names, n_shared, n_unique, n_classes, upper_weight, decorrelation):
        super().__init__()
        self.n_shared, self.upper_weight, self.decorrelation = n_shared, upper_weight, decorrelation
        self.supervised = n_classes > 0
        self.pairs = list(combinations(names, 2))
        opponents = {("unique", *pair): Critic(n_unique, n_unique) for pair in self.pairs}
        heads, joint = [], []
        if self.supervised:
            opponents |= {("shared", *pair): Critic(n_shared, n_shared) for pair in self.pairs}
            joint = [Critic(n_unique, n_unique) for _ in self.pairs]
            heads = [torch.nn.Linear(n_shared + n_unique, n_classes) for _ in names]
        self.opponents = Opponents(opponents)
        self.joint, self.heads = torch.nn.ModuleList(joint), torch.nn.ModuleList(heads)

    def _apply(self, fn, recurse=True):
        for critic in self.opponents.critics.values():
            critic._apply(fn)  # they go to the device that the module goes to, before their optimizer has a state
        return super()._apply(fn, recurse)

    def get_extra_state(self):
        return to_arrays(self.opponents.state())

    def set_extra_state(self, state):
        self.opponents.restore(to_tensors(state))

    def forward(self, outputs, views, labels):
        if self.supervised:
            blocks = self._blocks(outputs)
            about = self._label_bound(blocks, labels)
        else:
            blocks, again = (self._blocks({name: Z.chunk(2)[k] for name, Z in outputs.items()}) for k in (0, 1))
            about = sum(_between(Z["unique"], again[name]["unique"]) for name, Z in blocks.items())
        if self.training:
            self._opponents_learn(blocks, labels)
        S = self._shared_bound(blocks) - self.upper_weight * self._upper("shared", blocks, labels)
        # U of all views together; terms of a pair stand in both of its U, and are taken once, as their weight is free.
        U = about - self.upper_weight * (self._upper("unique", blocks, labels) - self._given_labels(blocks, labels))
        return self.decorrelation * self._related(self._blocks(outputs)) - S - U

    @torch.no_grad()
    def held_out_bound(self, outputs, labels):
        """What chooses the epoch: the lower bounds that need no second copy."""
        blocks = self._blocks(outputs)
        about = self._label_bound(blocks, labels) if self.supervised else 0.0
        return float(self._shared_bound(blocks) + about)

    def _blocks(self, outputs):
        return {name: {"shared": Z[:, : self.n_shared], "unique": Z[:, self.n_shared :]} for name, Z in outputs.items()}

    def _shared_bound(self, blocks):
        """Lower, of I(X1;X2), by shared blocks."""
        return sum(_between(blocks[a]["shared"], blocks[b]["shared"]) for a, b in self.pairs)

    def _label_bound(self, blocks, labels):
        """Lower, of I(X;y) less the entropy of y, by unique blocks beside shared ones, which they need not repeat."""
        both = [torch.cat([Z["shared"].detach(), Z["unique"]], dim=1) for Z in blocks.values()]
        return -sum(F.cross_entropy(head(Z), labels) for head, Z in zip(self.heads, both))

    def _upper(self, block, blocks, labels):
        """Upper, of I(X1;X2|y) by shared blocks, and of I(X1;X2) by unique ones."""
        return sum(torch.relu(club(S, among)) for S, among in self._judged(block, blocks, labels))

    def _given_labels(self, blocks, labels):
        """Lower, of I(X1;X2|y), by unique blocks."""
        pairs = [(blocks[a]["unique"], blocks[b]["unique"]) for a, b in self.pairs]
        return sum(nce(critic(A, B), same_label(labels)) for critic, (A, B) in zip(self.joint, pairs))

    def _related(self, blocks):
        part = 1.0 if self.supervised else _SHARED_YIELDS
        yielding = [part * Z["shared"] + (1 - part) * Z["shared"].detach() for Z in blocks.values()]
        return sum(relation(Z["unique"], shared) for Z, shared in zip(blocks.values(), yielding))

    def _judged(self, block, blocks, labels):
        """Scores by the opponents of a block, and which pairs to compare."""
        for (of, a, b), critic in self.opponents.critics.items():
            if of == block:
                A, B = blocks[a][block], blocks[b][block]
                yield critic(A, B), same_label(labels) if block == "shared" else all_pairs(A)

    def _opponents_learn(self, blocks, labels):
        fixed = {name: {block: Z.detach() for block, Z in of_view.items()} for name, of_view in blocks.items()}
        with torch.enable_grad():
            judged = [pair for block in ("shared", "unique") for pair in self._judged(block, fixed, labels)]
            self.opponents.learn(-sum(nce(S, among) for S, among in judged))


def _between(A, B):
    """InfoNCE of embeddings that are compared by their distance."""
    return nce(gaussian_scores(A, B), all_pairs(A))
