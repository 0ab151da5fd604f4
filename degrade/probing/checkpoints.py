"""Weights from a file into a module, wherever in the file they are."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

COUNTS = "num_batches_tracked"  # of batch norms; old checkpoints have none, and nothing depends on them in eval mode


def load_weights(model: nn.Module, path: Path) -> None:
    """Fill a model with the state dict of a checkpoint.

    Training code wraps state dicts in other dicts and modules ("state_dict", "model", "module.", "teacher.backbone.", …). Whatever the wrapping is
    called, it is what stands before all of the model's own names. Further weights, such as a classifier's, are left alone.

    Raises:
        ValueError: no checkpoint, weights that are missing or of another shape, or several sets of them. OSError: if it cannot be read.
    """
    found = dict(tensors(read(path)))
    own = {name: value for name, value in model.state_dict().items() if not name.endswith(COUNTS)}
    first = next(iter(own))
    prefixes = [name.removesuffix(first) for name in found if name == first or name.endswith(f".{first}")]
    fitting = {p: sum(p + name in found for name in own) for p in prefixes}
    best = [p for p in prefixes if fitting[p] == max(fitting.values())]
    if not best:
        raise ValueError(f"weights {str(path)!r} hold no {first!r}; accepted: a checkpoint of the same model.")
    if len(best) > 1:
        raise ValueError(f"weights {str(path)!r} fit more than once: {', '.join(repr(p) for p in best)}; accepted: a file with one of them alone.")
    state = {name: found[best[0] + name] for name in own if best[0] + name in found}
    missing = [name for name in own if name not in state]
    if missing:
        raise ValueError(
            f"weights {str(path)!r} lack {len(missing)} of {len(own)}, such as {missing[0]!r}; accepted: a checkpoint of the same model."
        )
    for name, value in state.items():
        if value.shape != own[name].shape:
            raise ValueError(f"weights {str(path)!r} have {name!r} of {tuple(value.shape)}; accepted: {tuple(own[name].shape)}, as the model has.")
    model.load_state_dict(state, strict=False)


def tensors(held: Any, prefix: str = "") -> Iterator[tuple[str, torch.Tensor]]:
    """All tensors inside nested dicts, by their path."""
    for key, value in held.items():
        if isinstance(value, torch.Tensor):
            yield f"{prefix}{key}", value
        elif isinstance(value, Mapping):
            yield from tensors(value, f"{prefix}{key}.")


def read(path: Path) -> Mapping[str, Any]:
    """What a checkpoint holds, on the CPU. Nothing in it is executed."""
    with open(path, "rb"):
        pass  # what is not there, or may not be read, says so by itself
    try:
        if path.suffix == ".safetensors":
            held: Any = importlib.import_module("safetensors.torch").load_file(path)
        else:
            held = torch.load(path, map_location="cpu", weights_only=True)
    except ModuleNotFoundError:
        raise ModuleNotFoundError(f"weights {str(path)!r} need safetensors, which is not installed: pip install safetensors.") from None
    except Exception as error:
        raise ValueError(
            f"weights {str(path)!r} cannot be read: {str(error).splitlines()[0]}; accepted: state dicts, as torch.save or safetensors write them."
        ) from None
    if not isinstance(held, Mapping):
        raise ValueError(f"weights {str(path)!r} hold a {type(held).__name__}; accepted: state dicts, as torch.save or safetensors write them.")
    return held
