"""Kernels run a cell over a batch of padded sequences; ``select`` picks one and keeps the others' reasons."""

from sostenuto.kernels.contract import Declined, Kernel, Request, Result
from sostenuto.kernels.select import Selection, select

__all__ = ["Declined", "Kernel", "Request", "Result", "Selection", "select"]
