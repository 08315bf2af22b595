"""Run the Python of a page of the documentation."""

import doctest
import re

_BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)


def run_page(page, monkeypatch, tmp_path):
    """Run all blocks in one namespace and return it.

    Blocks that begin with a prompt are doctests, and must print what they show; the others run as they are.
    """
    monkeypatch.chdir(tmp_path)
    text, names = page.read_text(encoding="utf-8"), {"__name__": "snippet"}
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    for block in _BLOCK.finditer(text):
        line = text[: block.start()].count("\n") + 1
        if block[1].startswith(">>>"):
            test = doctest.DocTestParser().get_doctest(block[1], names, page.name, str(page), line)
            said = []
            runner.run(test, out=said.append, clear_globs=False)
            names = test.globs
            assert not said, "".join(said)
        else:
            exec(compile("\n" * line + block[1], str(page), "exec"), names)
    return names
