"""How much of what embeddings know is shared and how much is unique, in nats."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import torch

from .._nets import MLP, Noise
from .._training import own_randomness
from ._factorized_terms import Critic, all_pairs, label_bound, nce

_ROWS = 2000  # at most, of an estimate
_KEPT_ROWS = 5000  # at most, that aligners carry about to learn critics on
_BATCH = 256
_STEPS = 200
_RATE = 3e-3
_DECAY = 1e-2


def supervised_contributions(train, test, labels, test_labels):
    """Shared and unique information about labels, from embeddings by view.

    Parameters
    ----------
    train, test : dict of str to tensor of shape (n, d)
        Outputs of rows to learn critics on and of rows to estimate on.
    labels, test_labels : int tensors of shape (n,)
        Theirs.

    Returns
    -------
    dict
        ``shared``, and ``unique`` by view.
    """
    counts = torch.bincount(torch.cat([labels, test_labels]))  # a rare label may be held out altogether
    log_prior = (counts / counts.sum()).log()

    def about_labels(*names):
        """I(X;y), of one view or of two together."""
        Z, Z_test = (torch.cat([_scaled(part[name], train[name]) for name in names], dim=1) for part in (train, test))
        return _estimate(
            lambda: MLP(Z.shape[1], len(log_prior), (64,)),
            lambda head, rows, rows_labels: label_bound(head(rows), rows_labels, log_prior),
            [Z, labels],
            [Z_test, test_labels],
        )

    own = {name: about_labels(name) for name in train}
    # I(A;B) - I(A;B|y) by the chain rule, from terms that have no ceiling but the entropy of the labels.
    return _summary({(a, b): own[a] + own[b] - about_labels(a, b) for a, b in combinations(train, 2)}, own)


def unsupervised_contributions(train, test, train_copies, test_copies):
    """Shared and unique information that survives augmentation.

    Parameters
    ----------
    train, test : dict of str to tensor of shape (n, d)
        Outputs of augmented rows.
    train_copies, test_copies : dict of str to tensor of shape (n, d)
        Outputs of the same rows, augmented anew.

    Returns
    -------
    dict
        ``shared``, and ``unique`` by view.
    """
    shared = {(a, b): _information(train[a], train[b], test[a], test[b]) for a, b in combinations(train, 2)}
    own = {name: _information(train[name], train_copies[name], test[name], test_copies[name]) for name in train}
    return _summary(shared, own)


def thinned(parts):
    """Rows at equal distances of tensors by name, few enough to keep."""
    return {name: Z[:: -(-len(Z) // _KEPT_ROWS)] for name, Z in parts.items()}


@torch.no_grad()
def augmented_outputs(module, rows):
    """Outputs of two augmented copies of `AugmentedRows`, with the noise of the nets, as two dicts by view."""
    device = next(iter(rows.views.values())).device
    chosen = thinned({"": torch.arange(len(rows), device=device)})[""]
    module.eval()
    for part in module.modules():
        if isinstance(part, Noise):
            part.train()
    with own_randomness(0, device):
        outputs = module(rows[chosen][0])
    module.eval()
    halves = {name: Z.chunk(2) for name, Z in outputs.items()}
    return [{name: half[k] for name, half in halves.items()} for k in (0, 1)]


def _summary(shared, own):
    """Means over the pairs of views: of all for the shared part, of its own for what is unique to a view."""
    unique = {}
    for name, value in own.items():
        unique[name] = value - float(np.mean([part for pair, part in shared.items() if name in pair]))
    return {"shared": float(np.mean(list(shared.values()))), "unique": unique}


def _information(A, B, A_test, B_test):
    """I(A;B) by InfoNCE."""
    return _estimate(
        lambda: Critic(A.shape[1], B.shape[1]),
        lambda critic, A, B: nce(critic(A, B), all_pairs(A)),
        [_scaled(A, A), _scaled(B, B)],
        [_scaled(A_test, A), _scaled(B_test, B)],
    )


def _estimate(make, bound, train, test):
    """A bound of rows to test, by a net that made it large on rows to train."""
    n, device = len(train[0]), train[0].device
    with own_randomness(0, device), torch.enable_grad():
        net = make().to(device)
        optimizer = torch.optim.AdamW(net.parameters(), lr=_RATE, weight_decay=_DECAY, fused=True)
        for _ in range(_STEPS):
            rows = torch.randperm(n)[: min(n, _BATCH)].to(device)
            loss = -bound(net, *(part[rows] for part in train))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    rows = slice(None, None, -(-len(test[0]) // _ROWS))
    with torch.no_grad():
        return float(bound(net, *(part[rows] for part in test)))


def _scaled(Z, by):
    std, mean = torch.std_mean(by, dim=0)
    return (Z - mean) / (std + 1e-6 * std.max() + 1e-12)
