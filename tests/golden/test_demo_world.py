"""Golden runs: on a small demo world every paper learns, and by how much is written here.

The figures are shares of the oracle's NDCG@10 on the test questions, as found when the paper was
added; a change that costs a paper a fifth of its share fails, as does one that brings it within
half as much again of popularity.
"""

import pytest

import itemlm
from itemlm.train.validation import ndcg_at_10

WORLD = itemlm.world(users=1000, items=150, seed=7)
SPLIT = WORLD.dataset.split(itemlm.LeaveOneOut())

SETTINGS = {
    "ials": {"width": 16, "unobserved": 1.0, "l2": 0.03},
    "sasrec": {
        "length": 20,
        "width": 32,
        "dropout": 0.1,
        "epochs": 12,
        "batch_size": 32,
        "learning_rate": 5e-3,
    },
    "tiger": {
        "levels": 2,
        "codes": 12,
        "length": 8,
        "width": 32,
        "blocks": 2,
        "head_width": 16,
        "inner": 64,
        "dropout": 0.1,
        "beams": 10,
        "epochs": 8,
        "validation_questions": 200,
        "batch_size": 32,
        "learning_rate": 8e-3,
    },
}
NEEDS_TORCH = ("sasrec", "tiger")
SHARE_OF_ORACLE = {
    "popularity": 0.294,
    "itemknn": 0.546,
    "ease": 0.517,
    "ials": 0.508,
    "sasrec": 0.657,
    "tiger": 0.844,
}


@pytest.fixture(scope="module")
def oracle():
    return ndcg_at_10(WORLD.oracle, SPLIT.test)


@pytest.mark.parametrize("paper", SHARE_OF_ORACLE)
def test_share_of_the_oracle(paper, oracle):
    if paper in NEEDS_TORCH:
        pytest.importorskip("torch")
    model = itemlm.fit(
        paper,
        SPLIT.train,
        validation=SPLIT.validation,
        quiet=True,
        device="cpu",
        **SETTINGS.get(paper, {}),
    )
    share = ndcg_at_10(model, SPLIT.test) / oracle
    assert share > 0.8 * SHARE_OF_ORACLE[paper]
    if paper != "popularity":
        assert share > 1.5 * SHARE_OF_ORACLE["popularity"]
