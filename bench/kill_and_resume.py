"""Kill a training with SIGKILL at random moments, start it again, and compare the end results.

python bench/kill_and_resume.py --moments 20

Every trial fits SASRec and TIGER in turn on a small demo world in a process of its own, kills that
process at a random moment between its start and the time that a whole run takes, starts it again in
the same folder, and compares all weights and validation scores with those of an uninterrupted run.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FIT = """
import sys
import itemlm, torch
import itemlm.train.run
torch.set_num_threads(1)
paper, folder = sys.argv[1:]
small = {"width": 16, "blocks": 1, "inner": 32, "epochs": 6, "batch_size": 32}
if paper == "tiger":
    small |= {"levels": 2, "codes": 16, "heads": 2, "head_width": 8, "beams": 10}
    small |= {"validate_every": 1, "validation_questions": 50}
itemlm.fit(paper, itemlm.world(users=400, items=200).dataset, folder=folder, quiet=True, **small)
"""


def start(paper: str, folder: Path) -> subprocess.Popen[bytes]:
    """Begin a fit in a process of its own."""
    return subprocess.Popen([sys.executable, "-c", FIT, paper, str(folder)])


def outcome(folder: Path) -> tuple[str, list[float]]:
    """A digest of the learned weights, and the validation score of every epoch."""
    weights = (folder / "model" / "model.safetensors").read_bytes()
    losses = (folder / "losses.jsonl").read_text(encoding="utf-8").splitlines()
    scores = [json.loads(line)["validation NDCG@10"] for line in losses]
    return hashlib.sha256(weights).hexdigest()[:12], scores


def main(moments: int, seed: int = 0) -> int:
    """Run the trials and print one line each; returns how many ended differently."""
    failures = 0
    draw = random.Random(seed)
    with tempfile.TemporaryDirectory() as temporary:
        expected, seconds = {}, {}
        for paper in ("sasrec", "tiger"):
            began = time.monotonic()
            folder = Path(temporary) / paper
            if start(paper, folder).wait() != 0:
                raise SystemExit(f"the uninterrupted {paper} run failed")
            expected[paper], seconds[paper] = outcome(folder), time.monotonic() - began
            print(f"{paper}: uninterrupted in {seconds[paper]:.1f} s, weights {expected[paper][0]}")
        for trial in range(moments):
            paper = ("sasrec", "tiger")[trial % 2]
            folder = Path(temporary) / f"trial-{trial}"
            moment = draw.uniform(0.0, seconds[paper])
            process = start(paper, folder)
            time.sleep(moment)
            process.kill()
            killed = process.wait() != 0
            resumed = start(paper, folder).wait() == 0
            same = resumed and outcome(folder) == expected[paper]
            failures += not same
            what = "killed" if killed else "had ended"
            verdict = "same weights and scores" if same else "DIFFERENT"
            print(f"{trial + 1:>3}. {paper} {what} at {moment:5.2f} s: {verdict}", flush=True)
    print(f"{moments - failures} of {moments} ended like the uninterrupted run")
    return failures


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--moments", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    sys.exit(main(arguments.moments, arguments.seed) > 0)
