"""All retrieval metrics of two views in one table."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._typing import ArrayLike, Direction
from ._ranking import Ranking, check_count, ways_of
from ._ties import TiedRanks, expected_average_precision


def retrieval_report(
    Z_a: ArrayLike | None = None,
    Z_b: ArrayLike | None = None,
    *,
    ks: ArrayLike = (1, 5, 10),
    direction: Direction = "both",
    **options: Any,
) -> RetrievalReport:
    """All retrieval metrics in both directions, next to what chance would give.

    Parameters
    ----------
    Z_a, Z_b : {array-like, sparse matrix, torch tensor} of shape (n_a, d) and (n_b, d)
        Embeddings; row i of one matches row i of the other unless ``groups=`` says otherwise.
    ks : sequence of int, default=(1, 5, 10)
        Lengths of the lists for the recalls.
    direction : {"both", "a_to_b", "b_to_a"}, default="both"
        Which side asks. "both" reports each and their mean.
    **options
        The options of `match_ranks`.

    Returns
    -------
    RetrievalReport
        A dict: ``report["a_to_b"]["recall_at_5"]``, likewise "median_rank", "mean_reciprocal_rank" and, with groups,
        "mean_average_precision" (by group; without groups it equals the mean reciprocal rank). The number of rows is
        in ``report["a_to_b"]["n_queries"]`` and ``["n_candidates"]``, the value of each metric when all similarities
        are the same in ``report["chance"]["a_to_b"]``. Printing gives a table.

    Raises
    ------
    ValueError
        As `match_ranks`, and for a k below 1.

    Examples
    --------
    >>> import numpy as np
    >>> from skalign.metrics import retrieval_report
    >>> rng = np.random.default_rng(0)
    >>> image = rng.normal(size=(200, 5))
    >>> report = retrieval_report(image, image + rng.normal(size=(200, 5)), ks=(1, 10))
    >>> report["both"]["recall_at_10"]
    0.5225
    >>> print(report)
                             a_to_b     chance     b_to_a     chance       both     chance
    recall_at_1              0.1400     0.0050     0.1400     0.0050     0.1400     0.0050
    recall_at_10             0.5050     0.0500     0.5400     0.0500     0.5225     0.0500
    median_rank             10.0000   100.5000     9.0000   100.5000     9.5000   100.5000
    mean_reciprocal_rank     0.2586     0.0294     0.2561     0.0294     0.2574     0.0294
    n_queries                   200                   200
    n_candidates                200                   200
    """
    ways = ways_of(direction)
    if "k" in options or not np.iterable(ks):
        raise TypeError("retrieval_report takes a sequence of list lengths, ks=(1, 5, 10), not one k.")
    ks = [check_count("every k in ks", k) for k in ks]
    ranking = Ranking(Z_a, Z_b, **options)
    report, chance = RetrievalReport(), {}
    for way, ranks in ranking.ranks_by_way(direction).items():
        n_right, n_candidates = ranking.n_right(way), ranking.shape(way)[1]
        report[way] = _metrics(ranks, ks)
        chance[way] = _metrics(TiedRanks(np.zeros_like(n_right), n_candidates - n_right, n_right), ks)
        if options.get("groups") is not None:
            all_tied = np.full_like(n_right, n_candidates)[:, None], n_right[:, None]
            by_chance = expected_average_precision(0 * all_tied[0], all_tied[0], 0 * all_tied[1], all_tied[1], 1)
            report[way]["mean_average_precision"] = float(ranking.average_precisions(way).mean())
            chance[way]["mean_average_precision"] = float(by_chance.mean())
    if len(ways) == 2:
        for values in (report, chance):
            values["both"] = {name: (value + values["b_to_a"][name]) / 2 for name, value in values["a_to_b"].items()}
    for way in ways:
        n_queries, n_candidates = ranking.shape(way)
        report[way].update(n_queries=n_queries, n_candidates=n_candidates)
    report["chance"] = chance
    return report


class RetrievalReport(dict):
    """What `retrieval_report` returns: a dict of dicts of numbers that prints as a table."""

    def __str__(self):
        ways = [way for way in self if way != "chance"]
        names = list(self[ways[0]])
        width = max(len(name) for name in names)
        lines = [" " * width + "".join(f"{way:>11}{'chance':>11}" for way in ways)]
        for name in names:
            cells = [values.get(name) for way in ways for values in (self[way], self["chance"][way])]
            lines.append(f"{name:<{width}}" + "".join(_cell(value) for value in cells))
        return "\n".join(line.rstrip() for line in lines)

    __repr__ = __str__


def _cell(value):
    if value is None:
        return " " * 11
    return f"{value:>11}" if isinstance(value, int) else f"{value:>11.4f}"


def _metrics(ranks, ks):
    return {
        **{f"recall_at_{k}": ranks.recall(k) for k in ks},
        "median_rank": ranks.median(),
        "mean_reciprocal_rank": ranks.mean_reciprocal(),
    }
