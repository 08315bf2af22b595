"""Formulas as MathML: written at build time, drawn by the browser, and nothing is fetched from anywhere."""

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.util import logging

# What the converter does not know, in words that it does.
_REPLACED = {
    r"\tfrac": r"\frac",
    r"\lVert": r"\|",
    r"\rVert": r"\|",
    r"\bigl": r"\big",
    r"\bigr": r"\big",
    "{aligned}": "{split}",
}


def _mathml(latex, display, node):
    for name, known in _REPLACED.items():
        latex = latex.replace(name, known)
    try:
        return convert(latex, display=display)
    except Exception as error:  # the converter raises many kinds; the page must say which formula it was
        logging.getLogger(__name__).warning("formula %r: %r", latex, error, location=node)
        return ""


def _inline(writer, node):
    writer.body.append(f'<span class="formula-inline">{_mathml(node.astext(), "inline", node)}</span>')
    raise nodes.SkipNode


def _block(writer, node):
    writer.body.append(writer.starttag(node, "div", CLASS="formula"))
    writer.body.append(_mathml(node.astext(), "block", node) + "</div>\n")
    raise nodes.SkipNode


def setup(app):
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    app.config.html_math_renderer = "mathml"
    return {"parallel_read_safe": True, "parallel_write_safe": True}
