"""A job on many machines, by Ray Data: each shard is a piece of work, which any worker does with the same bits.

The folder of results must be one that all machines see, as must the sources.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .job import read_job
from .shard import Shard


class Worker:
    """What an actor does with the numbers of shards."""

    def __init__(self, out: str, threads: int, device: str) -> None:
        self.out, self.threads, self.device = Path(out), threads, device
        self.job = read_job(self.out)
        self.pipelines = self.job.made()

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        done = [Shard(self.job, int(n), self.out, self.pipelines, self.threads, self.device).run() for n in batch["shard"]]
        return {"images": np.array([d.images for d in done]), "errors": np.array([d.errors for d in done])}


def run_on_ray(out: Path, shards: list[int], threads: int, device: str, address: str | None, progress: Callable[..., None] | None) -> None:
    """Do these shards of a folder's job. A worker that is lost loses its shard, which another one does again.

    Args:
        threads: processors for each worker.
        device: "auto" gives each worker a GPU where the cluster has any.
        address: of a cluster that runs, such as "auto"; None begins one on this machine.
    """
    ray = _ray("ray")
    if not shards:
        return
    if not ray.is_initialized():
        ray.init(address=address, log_to_driver=False, include_dashboard=False)
    gpus = int(ray.cluster_resources().get("GPU", 0)) if device in ("auto", "cuda") else 0
    most = max(1, gpus or int(ray.cluster_resources().get("CPU", 1)) // threads)
    table = _ray("ray.data").from_items([{"shard": n} for n in shards], override_num_blocks=len(shards))
    needs: dict[str, Any] = {"num_gpus": 1, "num_cpus": 0} if gpus else {"num_cpus": threads}
    given = {"out": str(out.resolve()), "threads": threads, "device": "cuda" if gpus else "cpu"}
    done = table.map_batches(Worker, fn_constructor_kwargs=given, batch_size=1, concurrency=(1, min(most, len(shards))), **needs)
    for row in done.iter_rows():
        if progress:
            progress(int(row["images"]), int(row["errors"]))


def _ray(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError:
        raise ModuleNotFoundError("engine='ray' needs Ray Data, which is not installed: pip install 'degrade[cluster]'.") from None
