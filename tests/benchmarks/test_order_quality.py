"""Direction and ancestry in real hierarchies, beside cosines and beside the rule that shorter means more general.

Settings are the defaults, but for a linear map of one-hot vectors: 8 wide, without noise, at a higher learning rate, on
all rows. Seeds draw the held-out relations and the weights. Held-out parents are in no training pair. The rank of the
parent is reported and not asked for: it is cosine's own game.
"""

import numpy as np
import pytest
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS, CountVectorizer
from sklearn.metrics import average_precision_score
from sklearn.preprocessing import normalize

from skalign.contrastive import ContrastiveAligner, OrderAligner
from skalign.datasets import load_color_names, load_emoji

pytest.importorskip("torch")
pytestmark = pytest.mark.slow

SEEDS = (0, 1, 2)
GEOMETRIES = ("order", "hyperbolic")

# Child: parent. Some things of every day, all with one root.
TAXONOMY = {
    "animal": "thing", "artefact": "thing", "plant": "thing", "food": "thing", "mammal": "animal", "bird": "animal",
    "fish": "animal", "reptile": "animal", "insect": "animal", "dog": "mammal", "cat": "mammal", "horse": "mammal",
    "whale": "mammal", "bat": "mammal", "terrier": "dog", "poodle": "dog", "sheepdog": "dog", "siamese": "cat",
    "persian": "cat", "pony": "horse", "eagle": "bird", "owl": "bird", "duck": "bird", "mallard": "duck",
    "salmon": "fish", "shark": "fish", "snake": "reptile", "lizard": "reptile", "cobra": "snake", "gecko": "lizard",
    "bee": "insect", "ant": "insect", "bumblebee": "bee", "vehicle": "artefact", "tool": "artefact",
    "furniture": "artefact", "instrument": "artefact", "car": "vehicle", "boat": "vehicle", "aircraft": "vehicle",
    "taxi": "car", "lorry": "car", "canoe": "boat", "ferry": "boat", "glider": "aircraft", "helicopter": "aircraft",
    "hammer": "tool", "saw": "tool", "chainsaw": "saw", "chair": "furniture", "table": "furniture",
    "armchair": "chair", "desk": "table", "violin": "instrument", "drum": "instrument", "snare": "drum",
    "tree": "plant", "flower": "plant", "herb": "plant", "oak": "tree", "pine": "tree", "rose": "flower",
    "tulip": "flower", "mint": "herb", "peppermint": "mint", "fruit": "food", "bread": "food", "cheese": "food",
    "apple": "fruit", "pear": "fruit", "berry": "fruit", "cider apple": "apple", "baguette": "bread", "brie": "cheese",
}  # fmt: skip


def ancestors(node):
    found = []
    while node in TAXONOMY:
        node = TAXONOMY[node]
        found.append(node)
    return found


def text_rows(names):
    """Counts of one to three letters, at unit length: how long a name is does not show in the length of its row."""
    counts = CountVectorizer(analyzer="char_wb", ngram_range=(1, 3), min_df=2).fit_transform(names)
    return normalize(counts.astype(float)).toarray()


def color_edges():
    """Names, and (child, parent) of all names that end in another one: "light green" is a kind of "green"."""
    names = load_color_names().names
    number = {name: i for i, name in enumerate(names)}
    tails = [(i, " ".join(name.split()[k:])) for i, name in enumerate(names) for k in range(1, len(name.split()))]
    return names, np.array([(i, number[tail]) for i, tail in tails if tail in number])


def emoji_edges():
    """Names and the words that are a family: of four letters or more, in at least five names, but no "with"."""
    names = load_emoji().names
    words = [set(name.split()) for name in names]
    counts = {word: sum(word in other for other in words) for word in set().union(*words)}
    families = sorted(w for w, n in counts.items() if n >= 5 and len(w) >= 4 and w not in ENGLISH_STOP_WORDS)
    things = [*names, *(word for word in families if word not in names)]
    number = {name: i for i, name in enumerate(things)}
    edges = [(i, number[word]) for i, own in enumerate(words) for word in families if word in own and word != names[i]]
    return things, np.array(edges)


def held_out_parents(edges, seed):
    """Which edges go to a quarter of the parents, drawn at random."""
    parents = np.unique(edges[:, 1])
    chosen = np.random.default_rng(seed).permutation(parents)[: len(parents) // 4]
    return np.isin(edges[:, 1], chosen)


def direction(S, edges):
    """Share of edges that score higher than their reverse; ties count one half."""
    forth, back = S[edges[:, 0], edges[:, 1]], S[edges[:, 1], edges[:, 0]]
    return float(np.mean((forth > back) + 0.5 * (forth == back)))


def against_neighbours(S, rows, edges, every_edge, k=10):
    """How often a parent scores higher than the k most similar rows that are no ancestors (AUC)."""
    near = rows @ rows.T
    np.fill_diagonal(near, -np.inf)
    near[every_edge[:, 0], every_edge[:, 1]] = -np.inf
    nearest = np.argsort(-near[edges[:, 0]], axis=1)[:, :k]
    parent, others = S[edges[:, 0], edges[:, 1]][:, None], np.take_along_axis(S[edges[:, 0]], nearest, axis=1)
    return float(np.mean((parent > others) + 0.5 * (parent == others)))


def parent_rank(S, edges):
    """Mean reciprocal rank of the parent among all things but the child."""
    S = S[edges[:, 0]].copy()
    S[np.arange(len(edges)), edges[:, 0]] = -np.inf
    return float(np.mean(1 / (1 + (S[np.arange(len(edges)), edges[:, 1]][:, None] < S).sum(axis=1))))


def figures(names, edges, geometry):
    """Direction, neighbours and rank by seed for the aligner, contrastive nets, the cosine, and the length of names."""
    rows, result = text_rows(names), []
    for seed in SEEDS:
        test = held_out_parents(edges, seed)
        children, parents = rows[edges[~test]].transpose(1, 0, 2)
        aligner = OrderAligner(geometry=geometry, shared_encoder=True, random_state=seed).fit(children, parents)
        S, cosine = aligner.similarity(rows, rows), rows @ rows.T
        Z = aligner.transform(rows)
        norm = np.linalg.norm(Z, axis=1)
        length = np.array([len(name) for name in names])
        result.append(
            [
                direction(S, edges[test]),
                direction(np.subtract.outer(norm, norm), edges[test]),
                direction(np.subtract.outer(length, length), edges[test]),
                direction(cosine, edges[test]),
                against_neighbours(S, rows, edges[test], edges),
                against_neighbours(cosine, rows, edges[test], edges),
                parent_rank(S, edges[test]),
                parent_rank(cosine, edges[test]),
            ]
        )
        labels = "direction, by norm, by name length, by cosine, neighbours, by cosine, parent MRR, by cosine"
        print(f"\n{geometry}, seed {seed}: " + ", ".join(
            f"{label} {value:.3f}" for label, value in zip(labels.split(", "), result[-1])
        ))  # fmt: skip
    return np.array(result).T


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("edges_of", [color_edges, emoji_edges], ids=["colors", "emoji"])
def test_direction_of_unseen_parents(edges_of, geometry):
    found = figures(*edges_of(), geometry)
    neighbours, by_cosine = found[4:6]
    assert (found[0] >= 0.75).all()
    assert (neighbours > by_cosine).all()


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_closure_of_a_taxonomy(geometry):
    """Things are one-hot vectors: nothing but the order of others says where a held-out relation goes."""
    things = sorted({*TAXONOMY, *TAXONOMY.values()})
    number, rows = {name: i for i, name in enumerate(things)}, np.eye(len(things))
    closure = np.array([(number[a], number[b]) for a in TAXONOMY for b in ancestors(a)])
    direct = np.array([TAXONOMY[things[a]] == things[b] for a, b in closure])
    true = np.zeros((len(things),) * 2, dtype=bool)
    true[closure[:, 0], closure[:, 1]] = True
    for seed in SEEDS:
        test = ~direct & (np.random.default_rng(seed).random(len(closure)) < 0.3)
        options = {"encoder": "linear", "input_noise": 0.0, "learning_rate": 0.01, "early_stopping": False}
        specific, general = rows[closure[~test]].transpose(1, 0, 2)
        aligner = OrderAligner(8, geometry=geometry, shared_encoder=True, random_state=seed, **options)
        S = aligner.fit(specific, general).similarity(rows, rows)
        P = aligner.entails(rows, rows) > 0.5
        other = ContrastiveAligner(8, random_state=seed, **options).fit(specific, general)
        cosine = other.transform(rows) @ other.transform(rows).T
        asked = ~true & ~np.eye(len(things), dtype=bool)
        asked[closure[test, 0], closure[test, 1]] = True
        precisions = [average_precision_score(true[asked], matrix[asked]) for matrix in (S, cosine)]
        np.fill_diagonal(P, False)
        chained = P.astype(int) @ P > 0
        np.fill_diagonal(chained, False)
        transitivity = P[chained].mean()
        forth = direction(S, closure[test])
        norm = np.linalg.norm(aligner.transform(rows), axis=1)
        by_norm = direction(np.subtract.outer(norm, norm), closure[test])
        print(f"\n{geometry}, seed {seed}: direction {forth:.3f}, by norm {by_norm:.3f}, "
              f"AP {precisions[0]:.3f} (cosine of contrastive nets "
              f"{precisions[1]:.3f}, chance {true[asked].mean():.3f}), transitivity {transitivity:.3f}")  # fmt: skip
        assert forth >= 0.75
        assert precisions[0] > precisions[1] + 0.1
