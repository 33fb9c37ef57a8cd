"""ELMRec: names of users and items carry vectors that came along the edges of the graph."""

import polars as pl
import pytest

pytest.importorskip("transformers")

import torch

import itemlm
from itemlm.lm.models import Size, fresh
from itemlm.lm.worded import OUTSIDE, Worded
from itemlm.papers.generative.elmrec import Config, GraphWords, Numbers, node_words
from itemlm.papers.prompting import WORDS

USERS, ITEMS = ["user_0", "user_1"], ["10", "11"]


@pytest.fixture(scope="module")
def lm():
    size = Size(width=16, blocks=1, heads=2, inner=16, vocabulary=300)
    return fresh(["user_0 took 10 11"], "seq2seq", size, seed=0)


def test_names_are_numbered_by_their_node():
    words = ["<direct_1>", "user_1", "took", "11", "10", "."]
    numbers = Numbers(USERS, ITEMS, "all")
    # Nodes: user_0, user_1, then items 10 and 11.
    assert numbers(words) == [OUTSIDE, WORDS + 1, OUTSIDE, WORDS + 3, WORDS + 2, OUTSIDE]


def test_histories_may_count_their_names_instead():
    words = ["<sequential_1>", "user_1", "11", "10"]
    assert Numbers(USERS, ITEMS, "others")(words) == [OUTSIDE, 1, 2, 3]
    assert Numbers(USERS, ITEMS, "others")(["<direct_1>", "user_1"]) == [OUTSIDE, WORDS + 1]


def test_the_vector_of_a_node_is_added_to_every_piece_of_its_name(lm):
    graph_XD = torch.randn(4, 16)
    model = GraphWords(lm, graph_XD)
    batch = Worded(model, 50, Numbers(USERS, ITEMS, "all")).batch(["took 11"])
    added_SD = (model.embed(batch) - lm.embed(batch))[0]
    took, item = (len(lm.token_ids([word])[0]) for word in ("took", "11"))
    for place in range(took):
        assert torch.allclose(added_SD[place], model.whole_words.weight[OUTSIDE], atol=1e-6)
    for place in range(took, took + item):
        assert torch.allclose(added_SD[place], graph_XD[3], atol=1e-6)


def test_untrained_vectors_know_who_shares_items(lm):
    # Users 0 and 1 take the same three items, user 2 takes three others.
    rows = [(u, 3 * (u == 2) + s, s) for u in range(3) for s in range(3)]
    frame = pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row")
    model = node_words(lm, itemlm.Dataset.build(frame, name="three"), Config(), seed=0)
    unit_XD = torch.nn.functional.normalize(model.graph_XD, dim=1)
    alike_XX = unit_XD @ unit_XD.T
    assert alike_XX[0, 1] > 0.5
    assert alike_XX[0, 1] > alike_XX[0, 2] + 0.5
    assert not model.graph_XD.requires_grad


def test_the_strength_is_a_share_of_that_of_tokens(lm):
    frame = pl.DataFrame({"user_id": [0, 1, 2], "item_id": [0, 1, 2]})
    data = itemlm.Dataset.build(frame, name="pairs")
    model = node_words(lm, data, Config(strength=0.5), seed=0)
    tokens = lm.model.get_input_embeddings().weight.std().item()
    assert model.graph_XD.std().item() == pytest.approx(0.5 * tokens, rel=1e-4)
