"""The depth decoder: one pass over whole paths equals writing them code by code."""

import pytest

torch = pytest.importorskip("torch")

from itemlm.nn.code_transformer import CodeTable
from itemlm.nn.depth import DepthDecoder

CODES = torch.tensor([[0, 1, 0], [0, 2, -1], [3, 0, 1]])  # the second path is shorter
LEVELS = (4, 3, 2)


@pytest.fixture
def decoder():
    torch.manual_seed(0)
    table = CodeTable(CODES, LEVELS, 8)
    made = DepthDecoder(table, width=8, blocks=2, heads=2, inner=16, dropout=0.3).eval()
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return made


def test_log_probability_is_the_sum_of_what_is_written(decoder):
    state_BD = torch.randn(3, 8)
    logits_B1V, written = decoder.read(state_BD, beams=1)
    total_B = logits_B1V[:, 0].log_softmax(-1).gather(1, CODES[:, :1])[:, 0]
    same_B1 = torch.zeros(3, 1, dtype=torch.long)
    for level in (1, 2):
        logits_B1V = decoder.write(written, same_B1, CODES[:, level - 1 : level])
        log_B = logits_B1V[:, 0].log_softmax(-1).gather(1, CODES[:, [level]].clamp(min=0))[:, 0]
        total_B = total_B + log_B.where(CODES[:, level] >= 0, torch.zeros(()))
    torch.testing.assert_close(decoder.log_probability(state_BD, CODES), total_B)


def test_the_end_of_a_shorter_path_is_no_target(decoder):
    levels = decoder(torch.randn(3, 8), CODES)
    assert [codes.tolist() for _, codes in levels] == [[0, 0, 3], [1, 2, 0], [0, 1]]


def test_probabilities_of_all_paths_of_one_level_sum_to_one(decoder):
    state_MD = torch.randn(1, 8).expand(4, -1)
    one_level = DepthDecoder(
        CodeTable(torch.arange(4)[:, None], (4,), 8),
        width=8,
        blocks=1,
        heads=1,
        inner=8,
        dropout=0.0,
    )
    total = one_level.log_probability(state_MD, torch.arange(4)[:, None]).exp().sum()
    torch.testing.assert_close(total, torch.ones(()))
