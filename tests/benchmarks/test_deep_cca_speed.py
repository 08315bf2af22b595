"""DeepCCA beside cca-zoo's training through Lightning: equal nets, batches and steps."""

import logging
import warnings

import numpy as np
import pytest
from sklearn.datasets import load_digits

from skalign import CCA, DeepCCA, Views

pytestmark = pytest.mark.slow
FAMILY = "correlation"

torch = pytest.importorskip("torch")

HIDDEN, K = (128, 128), 10


@pytest.fixture(scope="module")
def halves():
    images = load_digits().images / 16
    X, Y = images[:, :, :4].reshape(-1, 32), images[:, :, 4:].reshape(-1, 32)
    return [((Z - Z.mean(axis=0)) / Z.std()).astype(np.float32) for Z in (X, Y)]


def mlp():
    layers, width = [], 32
    for size in HIDDEN:
        layers += [torch.nn.Linear(width, size), torch.nn.ReLU()]
        width = size
    return torch.nn.Sequential(*layers, torch.nn.Linear(width, K))


def peer(pl, deep, views, batch_size, epochs):
    loader = torch.utils.data.DataLoader(deep.MultiviewDataset(views), batch_size=batch_size, shuffle=True)
    model = deep.DCCA(n_components=K, encoders=[mlp(), mlp()], learning_rate=1e-3)
    trainer = pl.Trainer(
        max_epochs=epochs, accelerator="cpu", logger=False, enable_progress_bar=False, enable_checkpointing=False,
        enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(model, loader)
    model.eval()
    with torch.no_grad():
        outputs = model([torch.from_numpy(view) for view in views])
    outputs = Views(x=outputs[0].numpy(), y=outputs[1].numpy())
    return CCA(shrinkage=1e-3).fit(outputs).score(outputs)


def ours(views, batch_size, epochs):
    model = DeepCCA(
        K, hidden_layer_sizes=HIDDEN, batch_size=batch_size, max_epochs=epochs, early_stopping=False,
        standardize=False, input_noise=0.0, weight_decay=0.01, random_state=0,
    )  # fmt: skip
    return model.fit(*views).score(*views)


@pytest.mark.parametrize(("batch_size", "epochs"), [(128, 10), (256, 20), (1797, 60)])
def test_training_beside_lightning(halves, bench, optional, quick, batch_size, epochs):
    pl, deep = optional("lightning.pytorch"), optional("cca_zoo.deep")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    if quick:
        epochs //= 10
    there = pl is not None and deep is not None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        bench.compare(
            "DeepCCA: fit and score",
            lambda: ours(halves, batch_size, epochs),
            {"cca-zoo, Lightning": (lambda: peer(pl, deep, halves, batch_size, epochs)) if there else None},
            size=f"1,797 × (32 + 32), batch {batch_size:,}, {epochs} epochs",
            same=4.0 if quick else 0.5,  # other initial weights, the same training; far from its end in a quick run
            bars={"cca-zoo, Lightning": 1.4},
        )
