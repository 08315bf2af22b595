"""Options and fixtures of the benchmarks; `run.py` calls them all."""

import functools
import importlib.util
from pathlib import Path

import pytest


def _module(name):
    """A module beside this one: in importlib mode there is no path to import it by."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


suite, table = _module("_suite"), _module("_table")
DOCUMENT = pytest.StashKey()


def pytest_addoption(parser):
    group = parser.getgroup("benchmarks")
    group.addoption("--quick", action="store_true", help="small sizes and few rounds; no time is judged")
    group.addoption("--output", type=Path, help="name without suffix of the table (.json, .md)")
    group.addoption("--fresh", action="store_true", help="forget the rows that --output holds")


def _document(config):
    if DOCUMENT not in config.stash:
        output, quick = config.getoption("output"), config.getoption("quick")
        path = None if output is None else output.with_suffix(".json")
        try:
            config.stash[DOCUMENT] = table.Document(path, quick, fresh=config.getoption("fresh"))
        except ValueError as error:
            raise pytest.UsageError(str(error)) from None
    return config.stash[DOCUMENT]


def pytest_collection_modifyitems(config, items):
    """A quick run takes the tests that are small or can be made so, which are those that ask for `quick`."""
    if config.getoption("output") is not None:
        _document(config)  # a file that does not fit is found before any work
    here = Path(__file__).parent
    if config.getoption("quick"):
        others = [i for i in items if i.path.parent == here and "quick" not in i.fixturenames]
        config.hook.pytest_deselected(items=others)
        items[:] = [i for i in items if i not in others]


def pytest_terminal_summary(terminalreporter, config):
    """The table: into files beside the JSON, or on the screen."""
    if DOCUMENT not in config.stash:
        return
    document = config.stash[DOCUMENT]
    text = table.markdown(document.content)
    if document.path is None:
        terminalreporter.write_line(text)
    else:
        document.path.with_suffix(".md").write_text(text, encoding="utf-8")


@pytest.fixture
def bench(request):
    """Comparisons that go into the table, under the FAMILY of the test's module."""
    return suite.Bench(_document(request.config), request.module.FAMILY)


@pytest.fixture
def growth(request, quick):
    """Cost against size, in a table of its own: see `_suite.growth`."""
    return functools.partial(suite.growth, _document(request.config))


@pytest.fixture
def quick(request):
    """Whether sizes are to be small."""
    return request.config.getoption("quick")


@pytest.fixture
def pick(quick):
    """pick(full, small): the value for this run."""
    return lambda full, small: small if quick else full


@pytest.fixture(scope="session", name="suite")
def suite_module():
    """The module `_suite`, which its own tests take apart."""
    return suite


@pytest.fixture(scope="session", name="table")
def table_module():
    """The module `_table`, likewise."""
    return table


@pytest.fixture(scope="session")
def optional():
    """optional(name): the module, or None where it is not installed."""
    return suite.optional
