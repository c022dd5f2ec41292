"""Sphinx: Markdown by MyST, docstrings by napoleon, the look of Furo. design/0016 says why."""

from __future__ import annotations

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

project = "Sostenuto"
author = "the Sostenuto developers"
copyright = "the Sostenuto developers"
version = release = "0.1.0"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.napoleon"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = "Sostenuto"
html_show_sphinx = False
html_show_copyright = False
# Everything comes from the site itself: no fonts, scripts or counters of others.
html_theme_options = {"navigation_with_keys": True}

autosummary_generate = True
autodoc_typehints = "none"
autodoc_member_order = "bysource"
# Keras's own members are Keras's to document.
autodoc_default_options = {"members": True, "inherited-members": False, "show-inheritance": True}
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_admonition_for_examples = False
nitpicky = False
