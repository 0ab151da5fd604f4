"""A transform for albumentations' Compose. Needs albumentations: `pip install albumentations`."""

from __future__ import annotations

from typing import Any

import numpy as np

from degrade.files import node_from_dict, node_to_dict
from degrade.inputs import content_ids
from degrade.pipeline import Pipeline
from degrade.stream import STREAM, check_stream

from .images import opened
from .stage import check_worker

try:
    import albumentations
except ModuleNotFoundError:
    raise ModuleNotFoundError("degrade.data.albumentations needs albumentations, which is not installed: pip install albumentations.") from None


class Degrade(albumentations.ImageOnlyTransform):
    """A pipeline in `albumentations.Compose`, whose masks, boxes and keypoints pass untouched.

    Args:
        pipeline: what to do, or what `to_dict` wrote of it.
        ids: None: an image's id is drawn by albumentations, so that a seeded Compose repeats itself and ReplayCompose replays, each with
            the promise that it makes itself; `image` and its additional targets get the same degradation. "content": a hash of the image's bytes,
            the same wherever it is loaded.
        p: how often it is applied.

    Images are arrays h w 3, h w 1 or h w, uint8 or float32 in 0…1. `A.to_dict`, `A.from_dict`, `A.save` and `A.load` keep the recipe, its seed and
    what noise does in clips. No labels: albumentations carries none from a transform; `degrade.data.Indexed` does.

    Raises:
        TypeError: what is no pipeline. ValueError: unknown ids, or a dict that `to_dict` did not write, or of another STREAM.
    """

    class InitSchema(albumentations.ImageOnlyTransform.InitSchema):  # type: ignore[name-defined, misc]
        pipeline: Any
        ids: Any

    def __init__(self, pipeline: Any, ids: str | None = None, p: float = 1.0) -> None:
        super().__init__(p=p)
        if isinstance(pipeline, dict):
            pipeline = _read(pipeline)
        if not isinstance(pipeline, Pipeline):
            raise TypeError(f"pipeline is a {type(pipeline).__name__}; accepted: degrade.Pipeline.")
        if ids not in (None, "content"):
            raise ValueError(f"ids={ids!r} is not accepted; accepted: None or 'content'.")
        self.pipeline, self.ids = pipeline, ids

    def get_params(self) -> dict[str, Any]:
        return {"own_id": self.py_random.getrandbits(62)}

    def apply(self, img: np.ndarray[Any, Any], own_id: int = 0, **params: Any) -> Any:
        x, back = opened(img)
        check_worker(x)
        return back(self.pipeline(x, ids=content_ids(x[None]) if self.ids == "content" else [own_id]))

    def get_transform_init_args(self) -> dict[str, Any]:
        pipe = self.pipeline
        data = {"stream": STREAM, "seed": pipe.seed, "noise": pipe.noise, "backend": pipe.backend, "recipe": node_to_dict(pipe.recipe)}
        return {"pipeline": data, "ids": self.ids}


def _read(data: dict[str, Any]) -> Pipeline:
    check_stream(data.get("stream"), "transform")
    try:
        return Pipeline(node_from_dict(data["recipe"]), data["seed"], backend=data["backend"], noise=data["noise"])
    except KeyError as error:
        raise ValueError(f"pipeline lacks {error}; accepted: degrade.Pipeline, or what A.to_dict wrote.") from None
