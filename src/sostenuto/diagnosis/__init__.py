"""How a boundary explains itself: wording of axes, shapes, paths and near names; findings; the catalogue of codes."""

# First, so that the function of the same name comes after it.
import sostenuto.diagnosis.rules  # noqa: F401
from sostenuto.diagnosis.catalogue import Rule, page, rules
from sostenuto.diagnosis.finding import Finding, Report
from sostenuto.diagnosis.wording import axes, count, nearest, shape_of, some

__all__ = ["Finding", "Report", "Rule", "axes", "count", "nearest", "page", "rules", "shape_of", "some"]
