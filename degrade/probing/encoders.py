"""Encoders by name: of timm, of torchvision, of your own code, or statistics made by hand. Each is a callable b 3 h w in 0…1 to embeddings b d."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from .checkpoints import load_weights

RANDOM = "random"  # in place of a file of weights
SEED = 0  # of random weights
ACCEPTED = "timm:NAME, torchvision:NAME, package.module:callable, file.py:callable, statistics, each with NAME= before it if another name is wanted"


class Encoder:
    """A module as an encoder: in eval mode, without gradients, its input normalised and its output one vector an image.

    Args:
        module: gives b d; or a map b d h w or tokens b n d, of which the mean is taken.
        name: what it is called in results.
        mean, std: three numbers each, by which images in 0…1 are normalised.
        size: height and width, where it takes no others.
    """

    def __init__(
        self,
        module: nn.Module,
        name: str = "",
        mean: tuple[float, ...] = (0.0, 0.0, 0.0),
        std: tuple[float, ...] = (1.0, 1.0, 1.0),
        size: tuple[int, int] | None = None,
    ) -> None:
        self.module, self.name, self.size = module.eval(), name or type(module).__name__, size
        self.mean, self.std = (torch.tensor(v, dtype=torch.float32).view(3, 1, 1) for v in (mean, std))

    @torch.no_grad()
    def __call__(self, x: torch.Tensor) -> Any:
        if not x.is_floating_point():
            raise TypeError(f"x is {x.dtype}; accepted: images b 3 h w of floats in 0…1.")
        y = self.module((x - self.mean.to(x.device)) / self.std.to(x.device))
        if not isinstance(y, torch.Tensor):
            return y  # which is refused where it is used
        return y.flatten(2).mean(2) if y.dim() == 4 else y.mean(1) if y.dim() == 3 else y


def encoder(spec: str | nn.Module, weights: str | os.PathLike[str] | None = None, device: str | None = None) -> Any:
    """An encoder: a callable b 3 h w, float32 in 0…1, to embeddings b d.

    Args:
        spec: one of
            "timm:NAME", a model of timm without its classifier, images normalised as the model asks;
            "torchvision:NAME", a classification model of torchvision, likewise;
            "package.module:callable" or "path/to/file.py:callable": a module, which is taken as it is, or what makes an encoder, called with the path
            of the weights, or with nothing where there are none;
            "statistics", BRISQUE's 36 numbers.
            "NAME=" before it gives another name. Or a module, which is taken as it is.
        weights: a checkpoint, or "random" for weights drawn anew with seed 0. None takes the pretrained weights that timm or torchvision
            fetch. A checkpoint is a state dict, bare or inside other dicts, as .pt or .safetensors; its classifier may be missing.
        device: where it runs; None leaves a module where it is.

    Raises:
        ValueError: an unknown name, weights that do not fit or cannot be fetched. ModuleNotFoundError: a library that is not installed.
        OSError: weights that cannot be read.
    """
    if isinstance(spec, nn.Module):
        return _placed(Encoder(spec) if weights is None else Encoder(_weighted(spec, weights)), device)
    head, equals, tail = spec.partition("=")
    name, what = (head, tail) if equals else ("", spec)
    kind, _, of = what.partition(":")
    if what == "statistics":
        made: Any = _statistics(weights)
    elif kind in MAKERS and of:
        made = MAKERS[kind](of, weights)
    elif of:
        made = _own(kind, of, weights)
    else:
        raise ValueError(f"encoder {spec!r} is not known; accepted: {ACCEPTED}.")
    return _placed(_Named(made, name) if name else made, device)


class _Named:
    """Any encoder under another name."""

    def __init__(self, encoder: Callable[[torch.Tensor], torch.Tensor], name: str) -> None:
        self.encoder, self.name, self.size = encoder, name, getattr(encoder, "size", None)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return self.encoder(x)


def _placed(made: Any, device: str | None) -> Any:
    inner = made.encoder if isinstance(made, _Named) else made
    if device is not None and isinstance(inner, Encoder):
        inner.module.to(device)
    return made


def _statistics(weights: Any) -> Any:
    from .statistics import brisque

    if weights is not None:
        raise ValueError(f"encoder 'statistics' has no weights, and {str(weights)!r} was given; accepted: none.")
    return brisque


def _timm(name: str, weights: Any) -> Encoder:
    timm = _library("timm", f"timm:{name}")
    if not timm.is_model(name):
        near = timm.list_models(f"{name}*")[:5]
        raise ValueError(
            f"encoder 'timm:{name}' is not known; accepted: names of timm.list_models()" + (f", such as {', '.join(near)}." if near else ".")
        )
    model = _fetched(f"timm:{name}", lambda: _seeded(lambda: timm.create_model(name, pretrained=weights is None, num_classes=0)))
    about = model.pretrained_cfg
    size = tuple(about["input_size"][1:]) if about.get("fixed_input_size") else None
    return Encoder(_weighted(model, weights), _called(name, weights), tuple(about["mean"]), tuple(about["std"]), size)


def _torchvision(name: str, weights: Any) -> Encoder:
    models = _library("torchvision", f"torchvision:{name}").models
    if name not in models.list_models(module=models):
        raise ValueError(f"encoder 'torchvision:{name}' is not known; accepted: names of torchvision.models.list_models(module=torchvision.models).")
    known = models.get_model_weights(name).DEFAULT
    about = known.transforms()
    model = _fetched(f"torchvision:{name}", lambda: _seeded(lambda: models.get_model(name, weights=known if weights is None else None)))
    _without_classifier(model, len(known.meta["categories"]))
    size = (model.image_size, model.image_size) if name.startswith("vit") else None  # the one family there with positions of fixed number
    return Encoder(_weighted(model, weights), _called(name, weights), tuple(about.mean), tuple(about.std), size)


MAKERS: dict[str, Callable[[str, Any], Encoder]] = {"timm": _timm, "torchvision": _torchvision}


def _without_classifier(model: nn.Module, classes: int) -> None:
    """Let the layer that gives the classes pass on what it was given."""
    heads = [
        name for name, layer in model.named_modules() if getattr(layer, "out_features", getattr(layer, "out_channels", None)) == classes
    ]  # inception and googlenet have auxiliary ones before the last
    parent, _, last = heads[-1].rpartition(".")
    setattr(model.get_submodule(parent), last, nn.Identity())


def _own(module: str, path: str, weights: Any) -> Any:
    """What a Python module, named or as a file, holds under a dotted path."""
    spec = f"{module}:{path}"
    try:
        found: Any = _file(module) if module.endswith(".py") else importlib.import_module(module)
        for part in path.split("."):
            found = getattr(found, part)
    except (ModuleNotFoundError, FileNotFoundError, AttributeError) as error:
        raise ValueError(f"encoder {spec!r} is not there: {error}; accepted: {ACCEPTED}.") from None
    if isinstance(found, nn.Module):
        return Encoder(_weighted(found, weights), path)
    if not callable(found):
        raise ValueError(f"encoder {spec!r} is a {type(found).__name__}; accepted: a module, or a callable that makes an encoder.")
    given = [] if weights is None else [RANDOM if str(weights) == RANDOM else Path(weights)]
    try:
        inspect.signature(found).bind(*given)
    except TypeError as error:
        raise ValueError(
            f"encoder {spec!r} with {'weights ' + repr(str(weights)) if given else 'no weights'} cannot be called: {error}; accepted: a callable that "
            "makes an encoder of the weights' path, or of nothing where none are given."
        ) from None
    made = _seeded(lambda: found(*given))
    if isinstance(made, nn.Module):
        return Encoder(made, path)
    if not callable(made):
        raise ValueError(f"encoder {spec!r} made a {type(made).__name__}; accepted: a callable from images b 3 h w to embeddings b d.")
    return made


def _file(path: str) -> Any:
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(f"{path} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _library(name: str, spec: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        raise ModuleNotFoundError(f"encoder {spec!r} needs {name}, which is not installed: pip install {name}.") from None


def _seeded(make: Callable[[], Any]) -> Any:
    """What is drawn meanwhile is the same every time, and the caller's random numbers stay as they were."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        return make()


def _fetched(spec: str, make: Callable[[], Any]) -> Any:
    try:
        return make()
    except Exception as error:
        raise ValueError(
            f"encoder {spec!r} has no weights: {type(error).__name__} ({str(error).splitlines()[0] if str(error) else 'no reason given'}); "
            f"accepted: a file of weights, {RANDOM!r}, or a network that reaches them."
        ) from None


def _weighted(model: nn.Module, weights: Any) -> nn.Module:
    if weights is not None and str(weights) != RANDOM:
        load_weights(model, Path(weights))
    return model


def _called(name: str, weights: Any) -> str:
    return f"{name}, random" if str(weights) == RANDOM else name
