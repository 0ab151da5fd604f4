"""The suites `cpu` and `peers`: an op beside every library that has it, on the same images with the same parameters, on one thread or on a GPU."""

from __future__ import annotations

import fnmatch
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from benchmarks import checks, peers, timing
from benchmarks.images import SIZE, ids_of, photographs
from benchmarks.suites import Setting
from benchmarks.text import checked, spread
from degrade import backends

DRAWN = 4  # programs, in turns
COLUMNS = ("op", "batch", "ms (quartiles)", "beside it: ms, × ours, apart", "same alone and shuffled", "check")
RIGHT = ("batch",)


@dataclass(frozen=True)
class Beside:
    """One row."""

    op: str
    batch: int
    device: str
    backend: str = "auto"
    size: int = SIZE

    def setting(self) -> Setting:
        return Setting(self.op, self.backend, self.device, torch.uint8, self.batch, 1.0, self.size)


def settings(suite: str, pattern: str, backend: str, quick: bool, batch: int | None) -> list[Beside]:
    """`cpu` is of the CPU even where there is a GPU; `peers` of the GPU."""
    device = "cpu" if suite == "cpu" else "cuda"
    if device == "cuda" and not torch.cuda.is_available():
        return []
    batches = (batch,) if batch else (1, 32) if suite == "cpu" else (32,) if quick else (1, 32, 256)
    return [Beside(op, b, device, backend) for op in peers.OPS if any(fnmatch.fnmatch(op, p) for p in pattern.split(",")) for b in batches]


def run(wanted: list[Beside], seconds: float) -> Iterator[dict[str, Any]]:
    """A row for each; one that fails has no time, and the others go on."""
    for setting in wanted:
        head = {**vars(setting), "dtype": "uint8", "area": 1.0}
        try:
            with timing.one_thread():
                yield {**head, **measure(setting, seconds)}
        except Exception as error:
            yield {**head, "checks": {"run": f"{type(error).__name__}: {error}"}, "ok": False}


def measure(setting: Beside, seconds: float) -> dict[str, Any]:
    """Ours, drawing included, and the peers', in turns: on the CPU by the process's own clock."""
    x, pipe = photographs(setting.batch, setting.size).to(setting.device), setting.setting().pipeline()
    ran_on = backends.choose(x, setting.backend)[0]
    found = checks.all_checks(pipe, x, setting.op, ran_on)
    out: dict[str, Any] = {"checks": found, "ok": not checks.red(found)}
    if not out["ok"]:
        return out
    ids = [ids_of(number, len(x)) for number in range(DRAWN)]
    thetas = [pipe.sample(own, (setting.size, setting.size)).theta for own in ids]
    calls, absent = peers.ready(setting.op, x, thetas)
    contestants: dict[str, timing.Call] = {"own": lambda number: pipe(x, ids=ids[number % DRAWN])}
    contestants |= {name: call for name, (_, call) in calls.items()}
    if x.is_cuda:
        got = {name: stats["ms"] for name, stats in timing.on_cuda(contestants).items()}
    else:
        got = timing.on_cpu(contestants, seconds, time.process_time)  # type: ignore[assignment]
    own, y = got["own"], pipe(x, ids=ids[0]).cpu()
    out |= {"ran_on": ran_on, "ms": own, "images_per_s": len(x) / own["median"] * 1e3, "peers": {}, "absent": absent}  # type: ignore[index, operator]
    for name, (peer, call) in calls.items():
        out["peers"][name] = {
            "ms": got[name],
            "ratio": got[name]["median"] / own["median"],  # type: ignore[index, operator]
            "takes": peer.takes,
            **apart(setting.op, x.cpu(), y, peers.result(peer, call(0))),
            **({"alone": alone(peer, x, thetas[0])} if len(x) > 1 and name != "torch compiled" else {}),  # it would be built anew for each size
        }
    return out


def apart(op: str, x: torch.Tensor, own: torch.Tensor, theirs: torch.Tensor) -> dict[str, float]:
    """How far two results differ, in steps of 8 bits; of noise, how much stronger theirs is."""
    if op in peers.RANDOM:
        strength = [(y.float() - x.float()).std().item() for y in (theirs, own)]
        return {"strength": strength[0] / max(strength[1], 1e-9)}
    difference = (own.to(torch.int16) - theirs.to(torch.int16)).abs()
    return {"largest_difference": int(difference.max()), "mean_difference": float(difference.float().mean())}


def seed() -> None:
    """The state of every library's global random numbers, as a user would set it before an epoch."""
    import cv2

    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
    cv2.setRNGSeed(0)


def alone(peer: peers.Peer, x: torch.Tensor, theta: Any) -> bool:
    """Whether a peer gives the same bits for a sample in a batch, in a shuffled batch and by itself, from the same seed; ours is a check."""

    def run(rows: list[int]) -> torch.Tensor:
        seed()
        return peers.result(peer, peer.prepare(peers.LAYOUTS[peer.layout][0](x[rows]), theta[rows])()).clone()

    order = list(reversed(range(len(x))))
    y = run(order[::-1])
    return torch.equal(run(order), y[order]) and all(torch.equal(run([i])[0], y[i]) for i in order[: checks.ALONE])


def cells(row: dict[str, Any]) -> list[str]:
    """One row under COLUMNS; peers that are faster in bold, with a star where one strength or length holds for the batch."""
    head = [row["op"], str(row["batch"])]
    if not row["ok"]:
        return [*head, "—", "—", "—", checked(row)]
    beside = [_said(name, peer) for name, peer in sorted(row["peers"].items(), key=lambda item: item[1]["ratio"])]
    beside += [f"{name} {why if why == 'not installed' else 'cannot run'}" for name, why in row["absent"].items()]
    same = ["ours", *(name for name, peer in row["peers"].items() if peer.get("alone"))] if row["batch"] > 1 else []
    return [*head, spread(row["ms"]), ", ".join(beside), ", ".join(same), checked(row)]


def _said(name: str, peer: dict[str, Any]) -> str:
    off = f"{peer['strength']:.2f} × as strong" if "strength" in peer else f"≤ {peer['largest_difference']}"
    text = f"{name}{'*' if peer['takes'] == 'per batch' else ''} {peer['ms']['median']:.3g}, {peer['ratio']:.2f}×, {off}"
    return f"**{text}**" if peer["ratio"] < 1 else text


def lost(row: dict[str, Any]) -> bool:
    """Whether a peer is faster."""
    return any(peer["ratio"] < 1 for peer in row["peers"].values())


def brief(rows: list[dict[str, Any]]) -> tuple[list[str], list[str], list[list[str]]]:
    """Columns, those of figures, and lines: an op a line, a library a column, how many times our time each takes, by batch; a star as above."""
    names = list(dict.fromkeys(peer.name for peer in peers.PEERS if any(peer.name in row.get("peers", {}) for row in rows)))
    batches = sorted({row["batch"] for row in rows})
    columns = ["op", f"ours, ms, batch {', '.join(map(str, batches))}", *(f"{name} ÷ ours" for name in names), "check"]
    lines = []
    for op in dict.fromkeys(row["op"] for row in rows):
        own = [row for row in rows if row["op"] == op]
        times = ", ".join(f"{row['ms']['median']:.3g}" if row["ok"] else "—" for row in own)
        found = [[row["peers"][name] for row in own if row["ok"] and name in row["peers"]] for name in names]
        ratios = [
            ", ".join(f"{peer['ratio']:.2f}" for peer in each) + ("*" if any(p["takes"] == "per batch" for p in each) else "") for each in found
        ]
        lines.append([op, times, *ratios, "; ".join(dict.fromkeys(map(checked, own)))])
    return columns, columns[1:-1], lines
