"""Evaluation that can be trusted: the same questions for everyone, and how sure the answers are."""

from itemlm.evaluate.evaluation import evaluate
from itemlm.evaluate.report import Report
from itemlm.evaluate.results import Comparison, Conditions, Cost, Estimate, Result

__all__ = ["Comparison", "Conditions", "Cost", "Estimate", "Report", "Result", "evaluate"]
