"""Watching programs of other people and explaining what went wrong in them: see README.md."""

from sostenuto.diagnosis.finding import Finding, Report
from sostenuto.explaining.checking import check
from sostenuto.explaining.notebook import explain
from sostenuto.explaining.tracing import trace
from sostenuto.explaining.watching import watch

__all__ = ["Finding", "Report", "check", "explain", "trace", "watch"]
