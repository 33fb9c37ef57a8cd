"""T5 of transformers: `generate` with beams and `prefix_allowed_tokens_fn` over a dict trie."""

from __future__ import annotations

import statistics
from typing import Any

import codes
import common
import numpy as np
import torch
from transformers import T5Config, T5ForConditionalGeneration

asked = common.settings()
torch.set_num_threads(asked["threads"])
arrays = codes.load(asked["folder"])
codes_NL, histories_BT = arrays["codes_NL"], arrays["histories_BT"]


def model() -> T5ForConditionalGeneration:
    """A T5 with the figure's weights; its relative position biases are zero."""
    shape = asked["shape"]
    config = T5Config(
        vocab_size=len(arrays["shared.weight"]),
        d_model=shape["width"],
        d_kv=shape["head_width"],
        d_ff=shape["inner"],
        num_heads=shape["heads"],
        num_layers=shape["blocks"],
        num_decoder_layers=shape["blocks"],
        layer_norm_epsilon=float(np.finfo(np.float32).eps),  # as ours
        decoder_start_token_id=0,
    )
    made = T5ForConditionalGeneration(config).eval()
    with torch.no_grad():
        for name, weights in made.named_parameters():
            if "relative_attention_bias" in name:
                weights.zero_()
            elif "layer_norm" not in name:  # those are ones, as ours
                weights.copy_(torch.from_numpy(arrays[name]))
    return made


begin_B1 = np.zeros((len(histories_BT), 1), dtype=np.int64)
tokens_BS = np.concatenate([begin_B1, codes_NL[histories_BT].reshape(len(begin_B1), -1)], axis=1)
inputs = {"input_ids": torch.from_numpy(tokens_BS), "attention_mask": torch.ones(tokens_BS.shape)}
children, t5, beams = codes.children_by_prefix(codes_NL), model(), asked["beams"]


def generate() -> Any:
    """Beam search with the trie."""
    return t5.generate(
        **inputs,
        num_beams=beams,
        num_return_sequences=beams,
        max_new_tokens=codes_NL.shape[1],
        length_penalty=0.0,  # scores are sums of log-probabilities
        do_sample=False,
        prefix_allowed_tokens_fn=lambda _, tokens: children[tuple(tokens[1:].tolist())],
        return_dict_in_generate=True,
        output_scores=True,
    )


with torch.inference_mode():
    found = generate()
    times = common.seconds(generate, repeats=asked["repeats"])
row_of_codes = {tuple(row): number for number, row in enumerate(codes_NL.tolist())}
items = [row_of_codes[tuple(row)] for row in found.sequences[:, 1:].tolist()]
took = statistics.median(times)
common.report(
    values={"ms/batch": 1e3 * took, "users/s": len(histories_BT) / took},
    quality=codes.agree(
        asked["folder"],
        np.array(items).reshape(-1, beams),
        found.sequences_scores.numpy().reshape(-1, beams),
    ),
    versions=("torch", "transformers"),
)
