"""Watching programs of other people and explaining what went wrong in them: see README.md."""
