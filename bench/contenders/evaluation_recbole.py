"""An untrained SASRec of RecBole: its full-sort evaluation, which keeps items of the history."""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path

import common
import numpy as np
import pandas as pd
import torch

settings = common.settings()
sys.argv = sys.argv[:1]  # RecBole reads the command line

from recbole.config import Config  # noqa: E402
from recbole.data import create_dataset, data_preparation  # noqa: E402
from recbole.utils import get_model, get_trainer, init_logger, init_seed  # noqa: E402

offsets, item_rows, targets_U = common.load_sequences(settings["data"])
users, last_U = len(targets_U), offsets[1:]
user_E = np.repeat(np.arange(users), np.diff(offsets))
events = pd.DataFrame(
    {
        "user_id:token": np.insert(user_E, last_U, np.arange(users)),
        "item_id:token": np.insert(item_rows, last_U, targets_U),
    }
)
events["timestamp:float"] = np.arange(len(events))

with tempfile.TemporaryDirectory() as folder:
    (Path(folder) / "bench").mkdir()
    events.to_csv(Path(folder) / "bench" / "bench.inter", sep="\t", index=False)
    config = Config(
        model="SASRec",
        dataset="bench",
        config_dict={
            "data_path": folder,
            "checkpoint_dir": folder,
            "use_gpu": False,
            "MAX_ITEM_LIST_LENGTH": settings["length"],
            "n_layers": 2,
            "n_heads": 2,
            "hidden_size": 64,
            "inner_size": 64,
            "loss_type": "CE",
            "train_neg_sample_args": None,
            "eval_batch_size": 4096,
            "eval_args": {
                "split": {"LS": "valid_and_test"},
                "order": "TO",
                "mode": "full",
                "group_by": "user",
            },
            "metrics": ["Recall", "NDCG"],
            "topk": [10],
            "valid_metric": "NDCG@10",
            "metric_decimal_place": 10,
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
    train, _, test = data_preparation(config, dataset)
    model = get_model("SASRec")(config, train.dataset).to(config["device"])
    trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, model)

    def lists_and_metrics() -> dict[str, float]:
        return dict(trainer.evaluate(test, load_best_model=False, show_progress=False))

    times = common.seconds(lists_and_metrics, repeats=3, warm_up=1)
    figures = lists_and_metrics()

common.report(
    values={"seconds": statistics.median(times)},
    quality={
        "users": str(users),
        "items": str(dataset.item_num - 1),
        "Recall@10": float(figures["recall@10"]),
        "NDCG@10": float(figures["ndcg@10"]),
    },
    versions=("recbole", "torch"),
    notes=("items of the history are not left out, which saves time",),
)
