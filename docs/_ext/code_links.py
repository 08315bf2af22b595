"""Names of the library in code font lead to their reference page, in docstrings, guides and examples alike."""

import re

from docutils import nodes
from sphinx.util.nodes import make_refnode

_NAME = re.compile(r"([A-Za-z_][\w.]*)(\(.*)?", re.DOTALL)


def _targets(env):
    """Every name that is documented, in full and by its last parts, unless two share these; modules in full alone."""
    targets = {}
    for full, entry in env.get_domain("py").objects.items():
        if entry.aliased or not full.startswith("skalign"):
            continue
        parts = full.split(".")
        shortest = {"module": len(parts), "method": 2, "property": 2, "attribute": 2}.get(entry.objtype, 1)
        for size in range(shortest, len(parts) + 1):
            targets.setdefault(".".join(parts[-size:]), set()).add(full)
    return {name: full for name, (full, *others) in targets.items() if not others}


def _link(app, doctree, docname):
    if app.builder.format != "html":
        return
    objects, targets = app.env.get_domain("py").objects, _targets(app.env)
    for literal in list(doctree.findall(nodes.literal)):
        match = _NAME.fullmatch(literal.astext())
        parents = (nodes.reference, nodes.title, nodes.Admonition)
        if not match or match[1] not in targets or isinstance(literal.parent, parents):
            continue
        entry = objects[targets[match[1]]]
        if entry.docname == docname:
            continue
        link = make_refnode(app.builder, docname, entry.docname, entry.node_id, literal.deepcopy(), match[1])
        literal.replace_self(link)


def setup(app):
    app.connect("doctree-resolved", _link)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
