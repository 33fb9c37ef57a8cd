"""Evaluation that can be trusted: the same questions for everyone, and how sure the answers are."""

from itemlm.evaluation.evaluation import evaluate
from itemlm.evaluation.report import Report
from itemlm.evaluation.results import Comparison, Conditions, Cost, Estimate, Result

__all__ = ["Comparison", "Conditions", "Cost", "Estimate", "Report", "Result", "evaluate"]
