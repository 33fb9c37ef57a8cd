"""Resampling: how far figures of two groups move with other people, or with other labels.

People, not slates, are drawn again or change sides, since two slates of one person are not
independent. Most people of a log look alike (one slate, no click), so people with the same sums are
held as one profile and a number, and it is numbers that are drawn. That is the same draw as one of
people, at a cost that does not grow with their number.

Sources     Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapters 8, 13, 15.
            Ernst, "Permutation Methods: A Basis for Exact Inference", Statistical Science 2004.
Shapes      D profiles, S sums of a person in one group, R random draws.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from itemlm.evaluation.significance import BLOCK
from itemlm.types import FloatArray, IntArray


@dataclass(frozen=True, kw_only=True)
class Profiles:
    """People of two groups, those with the same sums together.

    Attributes:
        a_DS, b_DS: sums of a person in either group, all 0 where they never were in it.
        people_D: how many such people there are.
        side_D: 0 where they saw group a only, 1 where group b only, 2 where both.
    """

    a_DS: FloatArray
    b_DS: FloatArray
    people_D: IntArray
    side_D: IntArray

    @classmethod
    def of(cls, a_PS: FloatArray, b_PS: FloatArray) -> Profiles:
        """From the sums of every person (P) in either group; the first sum counts slates."""
        both, people_D = np.unique(np.hstack([a_PS, b_PS]), axis=0, return_counts=True)
        a_DS, b_DS = np.hsplit(both, 2)
        in_a, in_b = a_DS[:, 0] > 0, b_DS[:, 0] > 0
        side_D = np.where(in_a & in_b, 2, np.where(in_b, 1, 0))
        return cls(a_DS=a_DS, b_DS=b_DS, people_D=people_D, side_D=side_D)

    @property
    def people(self) -> tuple[int, int, int]:
        """How many saw group a only, group b only, and both."""
        a, b, both = np.bincount(self.side_D, self.people_D, minlength=3).astype(int).tolist()
        return a, b, both

    def bootstrap(self, draws: int, seed: int) -> tuple[FloatArray, FloatArray]:
        """a_RS and b_RS: total sums when people are drawn again.

        Those who saw one group, the other and both are drawn apart, so that their numbers stay.
        """
        generator = np.random.default_rng([seed, 0])
        a_RS, b_RS = np.zeros((2, draws, self.a_DS.shape[1]))
        for side in range(3):
            chosen = self.side_D == side
            people = self.people_D[chosen]
            if not len(people):
                continue
            for rows in _blocks(draws, len(people)):
                times = generator.multinomial(
                    people.sum(), people / people.sum(), size=rows.stop - rows.start
                )
                a_RS[rows] += times @ self.a_DS[chosen]
                b_RS[rows] += times @ self.b_DS[chosen]
        return a_RS, b_RS

    def permuted(self, draws: int, seed: int) -> tuple[FloatArray, FloatArray]:
        """a_RS and b_RS: total sums when chance alone says who was in which group.

        As many people as before get each label; those who saw both groups have their two parts
        swapped or not by a coin.
        """
        generator = np.random.default_rng([seed, 1])
        a_RS = np.zeros((draws, self.a_DS.shape[1]))
        whole_DS = self.a_DS + self.b_DS
        one, both = self.side_D < 2, self.side_D == 2
        for rows in _blocks(draws, len(self.people_D)):
            size = rows.stop - rows.start
            if one.any():
                picked = generator.multivariate_hypergeometric(
                    self.people_D[one], self.people[0], size=size
                )
                a_RS[rows] += picked @ whole_DS[one]
            if both.any():
                people = self.people_D[both]
                kept = generator.binomial(people, 0.5, size=(size, len(people)))
                a_RS[rows] += kept @ self.a_DS[both] + (people - kept) @ self.b_DS[both]
        return a_RS, self.people_D @ whole_DS - a_RS


def _blocks(draws: int, width: int) -> list[slice]:
    """The draws in blocks of about BLOCK numbers, to bound memory."""
    size = max(1, BLOCK // max(width, 1))
    return [slice(start, min(start + size, draws)) for start in range(0, draws, size)]
