"""What a batch costs without a service: the bare matrix product, and the model's topk alone.

python bench/serving/bare.py MODEL '[1, 2, 4]' THREADS

Prints JSON: seconds by batch size of [B, 64] x [64, N] in float32, and of the saved model's `topk`
for random histories. It runs in a process of its own, on the cores of the service and with as many
threads.
"""

from __future__ import annotations

import json
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

SECONDS = 1.0  # for each batch size
LEAST = 5  # repetitions


def seconds_of(job: Callable[[], object], seconds: float) -> float:
    """The median of some repetitions after a first one."""
    job()
    taken: list[float] = []
    while len(taken) < LEAST or sum(taken) < seconds:
        started = time.perf_counter()
        job()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def measure(
    model: Path, sizes: Sequence[int], cores: Sequence[int], threads: int, seconds: float = SECONDS
) -> dict[str, dict[int, float]]:
    """`main` in a process of its own.

    Returns:
        seconds by batch size, of the "product" and of "topk".
    """
    command = ["taskset", "-c", ",".join(map(str, cores))]
    command += [sys.executable, __file__, str(model), json.dumps(list(sizes)), str(threads)]
    done = subprocess.run([*command, str(seconds)], stdout=subprocess.PIPE, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    return {
        what: {int(size): value for size, value in times.items()} for what, times in found.items()
    }


def main(model: str, sizes: str, threads: str, seconds: str) -> None:
    """Measure and print."""
    import torch

    import itemlm
    from itemlm.data.vocabulary import query_batch
    from itemlm.types import Query

    torch.set_num_threads(int(threads))
    recommender = itemlm.load_recommender(model)
    items = len(recommender.catalog)
    rng = random.Random(0)
    ids = recommender.catalog.items.ids
    table_DN = torch.randn(items, 64).T
    product, topk = {}, {}
    for size in json.loads(sizes):
        states_BD, scores_BN = torch.randn(size, 64), torch.empty(size, items)
        multiply = partial(torch.mm, states_BD, table_DN, out=scores_BN)
        product[size] = seconds_of(multiply, float(seconds))
        queries = [
            Query(history=[ids[rng.randrange(items)] for _ in range(rng.randint(1, 20))])
            for _ in range(size)
        ]
        batch = query_batch(queries, recommender.catalog.items)
        topk[size] = seconds_of(partial(recommender.topk, batch, 10), float(seconds))
    print(json.dumps({"product": product, "topk": topk}))


if __name__ == "__main__":
    main(*sys.argv[1:])
