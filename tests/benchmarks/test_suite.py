"""What the benchmarks measure with: turns, memory, exponents, bars, and the table; these tests are fast."""

import json
import sys

import numpy as np
import pytest


@pytest.fixture
def document(table, tmp_path):
    return table.Document(tmp_path / "table.json", quick=False)


def busy(n):
    return lambda: sum(range(n))


def test_rivals_take_turns_in_both_orders(suite):
    order = []
    calls = [lambda name=name: order.append(name) for name in "abc"]
    medians, made = suite.processor_medians(calls, rounds=(2, 2), budget=0.0, turn=0.0)
    assert (order, made, len(medians)) == (list("abccba"), 2, 3)


def test_slower_calls_take_more_seconds(suite):
    (few, many), _ = suite.processor_medians([busy(10_000), busy(100_000)], rounds=(5, 5), budget=1.0, turn=0.002)
    assert 5 < many / few < 20


@pytest.mark.parametrize("exponent", [1.0, 2.0, 3.0])
def test_exponent_of_the_larger_half(suite, exponent):
    sizes = np.array([10, 20, 40, 80, 160, 320])
    seconds = 1e-6 * sizes**exponent
    seconds[:3] = 1.0  # what calls cost at any size
    assert suite.fitted_exponent(sizes, seconds) == pytest.approx(exponent)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("traced", [False, True])
def test_memory_of_a_known_array(suite, traced):
    make = "def make(n):\n    return (n,)"
    extra, seconds = suite.extra_megabytes(make, "", "lambda n: 0 * np.ones(n).sum()", n=4_000_000, traced=traced)
    assert extra == pytest.approx(32, abs=1.5)
    assert seconds > 0


def test_memory_says_what_went_wrong(suite):
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        suite.extra_megabytes("def make(n):\n    return (n,)", "", "lambda n: 1 / 0", n=1)


def test_missing_peer_is_said_and_does_not_fail(suite, table, document):
    assert suite.optional("a_peer_that_nobody_wrote.metrics") is None
    bench = suite.Bench(document, "family")
    bench.compare("sum", busy(10), {"gone": None}, size="10", bars={"gone": 2}, rounds=(1, 1))
    (row,) = document.content["rows"]
    assert row["peers"] == {"gone": {"missing": "not installed"}}
    assert row["bars"] == []
    assert "gone: not installed" in table.markdown(document.content)


def test_missed_bar_fails_and_missed_goal_does_not(suite, document):
    bench = suite.Bench(document, "family")
    rivals = busy(100_000), {"peer": busy(10_000)}
    options = {"size": "n", "same": lambda ours, theirs: None, "rounds": (1, 1)}
    bench.compare("goal", *rivals, goals={"peer": 1}, **options)
    with pytest.raises(AssertionError, match="no slower than peer"):
        bench.compare("bar", *rivals, bars={"peer": 1}, **options)
    with pytest.raises(AssertionError, match="at most 1e-09 s"):
        bench.compare("seconds", *rivals, at_most=1e-9, **options)
    met = {row["what"]: [bar["met"] for bar in row["bars"]] for row in document.content["rows"]}
    assert met == {"goal": [False], "bar": [False], "seconds": [False]}


def test_other_answers_fail_before_anything_is_timed(suite, document):
    with pytest.raises(AssertionError, match="peer"):
        suite.Bench(document, "family").compare("sum", busy(10), {"peer": busy(11)}, size="n", same=1e-3)
    assert document.content["rows"] == []


def test_quick_run_judges_no_bar(suite, table):
    document = table.Document(None, quick=True)
    suite.Bench(document, "family").record("error", 2.0, bars={"below 1": False})
    assert document.content["rows"][0]["bars"] == []


def test_rows_of_other_tests_stay_and_the_same_row_is_replaced(suite, table, document):
    bench = suite.Bench(document, "family")
    bench.record("a", 1.0)
    bench.record("b", 1.0)
    again = table.Document(document.path, quick=False)
    suite.Bench(again, "family").record("a", 2.0)
    assert [(row["what"], row["ours"]) for row in again.content["rows"]] == [("a", 2.0), ("b", 1.0)]
    assert json.loads(document.path.read_text(encoding="utf-8")) == again.content
    assert table.Document(document.path, quick=False, fresh=True).content["rows"] == []
    with pytest.raises(ValueError, match="mode"):
        table.Document(document.path, quick=True)


def test_growth_above_theory_fails(suite, table, document, tmp_path):
    options = {"of": "n", "theory": "1"}
    sizes = [10_000, 20_000, 40_000, 80_000]
    suite.growth(document, "family", "sum", busy, sizes, interval=(0.7, 1.3), **options)
    with pytest.raises(AssertionError, match="above"):
        suite.growth(document, "family", "sum of squares", busy, sizes, interval=(0.0, 0.2), **options)
    first, second = document.content["growth"]
    assert (first["within"], second["within"]) == (True, False)
    text = table.markdown(document.content)
    assert "within" in text
    assert "**outside**" in text
    pytest.importorskip("matplotlib")
    table.draw_growth(document.content, tmp_path / "growth.png")
    assert (tmp_path / "growth.png").stat().st_size > 1000


def test_page_names_machine_versions_and_ratios(suite, table, document):
    row = {"family": "family", "what": "fit", "size": "n", "unit": "s", "ours": 0.002, "bars": [
        {"text": "10 times faster than peer", "met": True, "promised": True}]}  # fmt: skip
    document.add("rows", {**row, "peers": {"peer": {"value": 0.05, "ratio": 25.0}}})
    text = table.markdown(document.content)
    assert "| fit | n | 2 ms | peer 50 ms (**25x**) | 10 times faster than peer: yes |" in text
    assert f"numpy {np.__version__}" in text
    assert "1 of 1 bars met; 0 of 0 goals met." in text
