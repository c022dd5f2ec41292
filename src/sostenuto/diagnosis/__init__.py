"""How a boundary explains itself: the wording of axes, shapes, paths and near names, and a page for every code."""

from sostenuto.diagnosis.pages import PAGES, Page, page
from sostenuto.diagnosis.wording import axes, count, nearest, shape_of, some

__all__ = ["PAGES", "Page", "axes", "count", "nearest", "page", "shape_of", "some"]
