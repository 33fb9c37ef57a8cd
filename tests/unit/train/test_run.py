"""The training loop: what it records, and that an interruption changes nothing."""

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn

from itemlm.data.splits import LeaveOneOut
from itemlm.data.world import world
from itemlm.objectives.objective import Objective
from itemlm.objectives.softmax import softmax
from itemlm.papers.sequential.sasrec import Config, SASRec
from itemlm.recommender import Catalog
from itemlm.retrieve.dot import DotProduct
from itemlm.sample.next_items import NextItems
from itemlm.train.optimizer import AdamW
from itemlm.train.record import record_run
from itemlm.train.run import Run
from itemlm.types import ArtifactError, ConfigError, ItemlmError

SPLIT = world(users=60, items=50).dataset.split(LeaveOneOut())
CONFIG = Config(length=8, width=8, blocks=1, inner=8, batch_size=16)
EPOCHS = 3


class Killed(BaseException):
    """Stands for the process being killed."""


class Interrupting(NextItems):
    """Examples that stop the process before a given step."""

    die_at = None

    def batches(self, epoch, skip=0):
        step = epoch * self.steps + skip
        for batch in super().batches(epoch, skip):
            if step == self.die_at:
                raise Killed
            step += 1
            yield batch


def train(folder, die_at=None, **options):
    """Train a small SASRec; returns its weights and the run."""
    run = Run(folder, seed=1, validation=SPLIT.validation, quiet=True, device="cpu", **options)
    torch.manual_seed(run.seed)
    items = len(SPLIT.train.items)
    model = SASRec(CONFIG, items)
    examples = Interrupting(
        SPLIT.train.sequences, padding=items, length=8, batch_size=16, seed=run.seed
    )
    examples.die_at = die_at
    recommender = DotProduct("sasrec", model, Catalog.of(SPLIT.train), CONFIG, CONFIG.length)
    optimizer = AdamW(learning_rate=0.01)
    run.train(model, softmax(), examples, optimizer, EPOCHS, validate=recommender, patience=9)
    return {name: value.numpy() for name, value in model.state_dict().items()}, run


def without_seconds(path):
    """Lines of losses.jsonl but for the time taken."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [{name: value for name, value in line.items() if name != "seconds"} for line in lines]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    weights, _ = train(folder)
    return weights, without_seconds(folder / "losses.jsonl")


@pytest.mark.parametrize("die_at", [0, 1, 4, 5, 7, 10])
@pytest.mark.parametrize("checkpoint_seconds", [0.0, 1000.0])  # every step, or every epoch
def test_a_killed_run_ends_like_an_uninterrupted_one(
    tmp_path, uninterrupted, die_at, checkpoint_seconds
):
    with pytest.raises(Killed):
        train(tmp_path, die_at, checkpoint_seconds=checkpoint_seconds)
    weights, _ = train(tmp_path, checkpoint_seconds=checkpoint_seconds)
    expected, losses = uninterrupted
    for name in expected:
        assert np.array_equal(weights[name], expected[name]), name
    assert without_seconds(tmp_path / "losses.jsonl") == losses


def test_a_finished_run_is_not_trained_again(tmp_path):
    weights, _ = train(tmp_path)
    again, _ = train(tmp_path, die_at=0)  # would die at its first batch
    assert all(np.array_equal(weights[name], again[name]) for name in weights)


def test_the_record_says_what_happened(uninterrupted):
    _, losses = uninterrupted
    assert [record["epoch"] for record in losses] == [1, 2, 3]
    assert losses[-1]["loss"] < losses[0]["loss"]
    assert all(0 <= record["validation NDCG@10"] <= 1 for record in losses)


def test_another_experiment_in_the_same_folder_is_refused(tmp_path):
    for _ in range(2):
        record_run(tmp_path, {"config": {"width": 64}, "versions": {"itemlm": "1"}})
    with pytest.raises(ConfigError, match=r"config\.width was 64, is now 32\."):
        record_run(tmp_path, {"config": {"width": 32}, "versions": {"itemlm": "2"}})


def test_a_damaged_checkpoint_is_a_sentence(tmp_path):
    train(tmp_path)
    (tmp_path / "checkpoint.safetensors").write_bytes(b"not a checkpoint")
    with pytest.raises(ArtifactError, match="Delete it to train from the start"):
        train(tmp_path)


def test_stages_are_made_once(tmp_path):
    made = []

    def make():
        made.append(1)
        return np.arange(3)

    for _ in range(2):
        assert Run(tmp_path, quiet=True).keep("stage", make).tolist() == [0, 1, 2]
    assert len(made) == 1
    assert Run(quiet=True).keep("stage", make).tolist() == [0, 1, 2]  # no folder: made again
    assert len(made) == 2


def test_parameters_of_an_objective_are_trained():
    class Learned(Objective):
        def __init__(self):
            super().__init__()
            self.offset = nn.Parameter(torch.ones(2, 2))

        def forward(self, model, batch):
            return {"offset": (self.offset**2).sum() + 0 * model.items.weight.sum()}

    items = len(SPLIT.train.items)
    objective = Learned()
    examples = NextItems(SPLIT.train.sequences, padding=items, length=8, batch_size=16, seed=0)
    run = Run(quiet=True, device="cpu")
    run.train(SASRec(CONFIG, items), objective, examples, AdamW(learning_rate=0.01), 1)
    assert objective.offset.abs().max().item() < 1


def test_a_diverged_loss_stops_with_a_sentence():
    class Diverging(Objective):
        def forward(self, model, batch):
            return {"loss": model.items.weight.sum() * float("nan")}

    items = len(SPLIT.train.items)
    examples = NextItems(SPLIT.train.sequences, padding=items, length=8, batch_size=16, seed=0)
    with pytest.raises(ItemlmError, match="Lower learning_rate"):
        Run(quiet=True, device="cpu").train(
            SASRec(CONFIG, items), Diverging(), examples, AdamW(learning_rate=0.01), 1
        )


def test_an_impossible_device_is_a_sentence():
    with pytest.raises(ConfigError, match="device 'toaster' cannot be used here"):
        Run(device="toaster")


def test_learning_rate_rises_then_falls_to_a_tenth():
    optimizer = AdamW(learning_rate=1.0, warmup=0.1)
    rates = [optimizer.rate(step, 100) for step in (0, 4, 9, 10, 55, 100)]
    # Linear over 10 steps; then 0.1 + 0.9 * (1 + cos(pi * progress)) / 2, halfway at step 55.
    assert rates == pytest.approx([0.1, 0.5, 1.0, 1.0, 0.1 + 0.9 / 2, 0.1])
    assert AdamW(learning_rate=1.0, schedule="constant").rate(99, 100) == 1.0


@pytest.mark.parametrize("wrong", [{"learning_rate": 0.0}, {"learning_rate": 1, "warmup": 1.0}])
def test_impossible_optimizer_settings(wrong):
    with pytest.raises(ConfigError):
        AdamW(**wrong)
