"""SasRec of RePlay."""

from __future__ import annotations

import logging
import tempfile
import warnings
from pathlib import Path

import common
import lightning
import numpy as np
import pandas as pd
import torch
from replay.data import FeatureHint, FeatureType
from replay.data.nn import ParquetModule, TensorFeatureInfo, TensorSchema
from replay.nn.lightning import LightningModule
from replay.nn.loss import BCESampled
from replay.nn.sequential import SasRec
from replay.nn.transform.template import make_default_sasrec_transforms
from steps import Clock, load, padded, report, top10

warnings.filterwarnings("ignore")
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
settings = common.settings()
torch.set_num_threads(settings["threads"])
lightning.seed_everything(0)
offsets, item_rows, targets_U = load(settings)
users, length = len(targets_U), settings["length"]
items = int(max(item_rows.max(), targets_U.max())) + 1
schema = TensorSchema(
    [
        TensorFeatureInfo(
            name="item_id",
            is_seq=True,
            padding_value=items,
            cardinality=items,
            embedding_dim=64,
            feature_type=FeatureType.CATEGORICAL,
            feature_hint=FeatureHint.ITEM_ID,
        )
    ]
)
clock = Clock(settings)


class OneNegativeEach(torch.nn.Module):
    """RePlay's own sampler draws one vector of negatives for the whole batch."""

    def forward(self, batch):
        shape = batch["positive_labels"].shape
        return {**batch, "negative_labels": torch.randint(items, shape)}


class Ticking(lightning.Callback):
    def on_train_batch_end(self, trainer, module, outputs, batch, place):
        clock.step(int(batch["target_padding_mask"].sum()))
        trainer.should_stop = clock.is_done


sasrec = SasRec.from_params(
    schema=schema,
    embedding_dim=64,
    max_sequence_length=length,
    num_heads=settings["heads"],
    num_blocks=2,
    dropout=0.2,
)
transforms = make_default_sasrec_transforms(schema)
if settings["loss"] == "bce":
    sasrec.loss = BCESampled()
    sasrec.loss.logits_callback = sasrec.get_logits
    transforms["train"].append(OneNegativeEach())
model = LightningModule(sasrec)
with tempfile.TemporaryDirectory() as folder:
    path = str(Path(folder) / "train.parquet")
    histories = [item_rows[offsets[user] : offsets[user + 1]] for user in range(users)]
    pd.DataFrame({"user_id": np.arange(users), "item_id": histories}).to_parquet(path)
    data = ParquetModule(
        train_path=path,
        batch_size=128,
        metadata={"train": {"item_id": {"shape": length + 1, "padding": items}}},
        transforms=transforms,
    )
    trainer = lightning.Trainer(
        max_epochs=settings["epochs"] or 1000,
        limit_val_batches=0,
        num_sanity_val_steps=0,
        callbacks=[Ticking()],
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(model, datamodule=data)

lists = None
if settings["epochs"]:
    sasrec.eval()
    windows = torch.from_numpy(padded(offsets, item_rows, length, items))

    @torch.no_grad()
    def scores_of(start: int, stop: int) -> np.ndarray:
        rows = windows[start:stop]
        return sasrec(feature_tensors={"item_id": rows}, padding_mask=rows != items)[
            "logits"
        ].numpy()

    lists = top10(scores_of, offsets, item_rows)
report(clock, lists, targets_U, versions=("replay-rec", "lightning", "torch"))
