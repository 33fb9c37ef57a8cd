"""SASRec of RecBole: one target per prefix; its pairwise loss in the place of BCE."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import common
import numpy as np
import pandas as pd
import torch
from steps import Clock, load, report, top10

settings = common.settings()
sys.argv = sys.argv[:1]  # RecBole reads the command line

from recbole.config import Config  # noqa: E402
from recbole.data import create_dataset, create_samplers  # noqa: E402
from recbole.data.utils import get_dataloader  # noqa: E402
from recbole.utils import get_model, get_trainer, init_logger, init_seed  # noqa: E402

offsets, item_rows, targets_U = load(settings)
users, items = len(targets_U), int(max(item_rows.max(), targets_U.max())) + 1
user_E = np.repeat(np.arange(users), np.diff(offsets))
is_full = settings["loss"] == "softmax"
events = pd.DataFrame(
    {
        "user_id:token": np.insert(user_E, offsets[1:], np.arange(users)),
        "item_id:token": np.insert(item_rows, offsets[1:], targets_U),
    }
)
events["timestamp:float"] = np.arange(len(events))
folder = tempfile.TemporaryDirectory()
(Path(folder.name) / "bench").mkdir()
events.to_csv(Path(folder.name) / "bench" / "bench.inter", sep="\t", index=False)
config = Config(
    model="SASRec",
    dataset="bench",
    config_dict={
        "data_path": folder.name,
        "checkpoint_dir": folder.name,
        "use_gpu": False,
        "MAX_ITEM_LIST_LENGTH": settings["length"],
        "n_layers": 2,
        "n_heads": settings["heads"],
        "hidden_size": 64,
        "inner_size": 64,
        "hidden_dropout_prob": 0.2,
        "attn_dropout_prob": 0.2,
        "loss_type": "CE" if is_full else "BPR",
        "train_neg_sample_args": None
        if is_full
        else {
            "distribution": "uniform",
            "sample_num": 1,
            "alpha": 1.0,
            "dynamic": False,
            "candidate_num": 0,
        },
        "train_batch_size": 128,
        "eval_batch_size": 512 * (items + 1),
        "eval_args": {
            "split": {"LS": "test_only"},
            "order": "TO",
            "mode": "full",
            "group_by": "user",
        },
        "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
        "show_progress": False,
        "state": "ERROR",
        "worker": 0,
    },
)
init_seed(0, True)
init_logger(config)
torch.set_num_threads(settings["threads"])
dataset = create_dataset(config)
parts = dataset.build()
samplers = create_samplers(config, dataset, parts)
train = get_dataloader(config, "train")(config, parts[0], samplers[0], shuffle=True)
test = get_dataloader(config, "test")(config, parts[2], samplers[2], shuffle=False)
model = get_model("SASRec")(config, train.dataset).to(config["device"])
optimizer = get_trainer(config["MODEL_TYPE"], config["model"])(config, model).optimizer

# RecBole's own loop, `Trainer._train_epoch`, without its checks and progress bar.
clock = Clock(settings)
model.train()
for _ in range(settings["epochs"] or 1000):
    for batch in train:
        optimizer.zero_grad()
        loss = model.calculate_loss(batch.to(config["device"]))
        loss.backward()
        optimizer.step()
        clock.step(len(batch))
        if clock.is_done:
            break
    if clock.is_done:
        break

lists = None
if settings["epochs"]:
    model.eval()
    row_of_item = np.array([-1, *dataset.field2id_token["item_id"][1:].astype(int)])
    row_of_user = np.array([-1, *dataset.field2id_token["user_id"][1:].astype(int)])
    scores_UN = np.full((users, items), -np.inf, dtype=np.float32)
    with torch.no_grad():
        for question, *_ in test:
            rows = row_of_user[question["user_id"].numpy()]
            scores = model.full_sort_predict(question).view(len(rows), -1).numpy()
            scores_UN[rows[:, None], row_of_item[1:]] = scores[:, 1:]
    lists = top10(lambda start, stop: scores_UN[start:stop], offsets, item_rows)
report(clock, lists, targets_U, versions=("recbole", "torch"))
