"""The engine's real launch path with no GPU: kernels are bound, specialised and built, then not run.

Run as a script (PYTHONPATH=. python tests/launch.py), since it puts another driver in Triton's place. Prints one JSON object: launches made, and how many
binaries each kernel was built into over several batches that differ in everything a batch may differ in.
"""

import json

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.runtime.jit import JITFunction

import degrade
from degrade import Compose, Local, OneOf, Pipeline, SomeOf, masks
from degrade.backends import engine


def recipe():
    """An op of each kind: the more there are, the longer they take to build."""
    ops = (
        degrade.MeanShift(),
        degrade.GaussianNoise(),
        degrade.GaussianBlur(),
        degrade.Jpeg(),
        degrade.Contrast(),
        degrade.UnsharpMask(),
        degrade.Jitter(),
    )
    chain = Local(Compose(degrade.MeanShift(), degrade.GaussianBlur()), masks.Rectangle(area=0.3))
    return Compose(SomeOf(*(Local(op, masks.Ellipse()) for op in ops), n=(1, 3)), OneOf(chain, *ops))


class Card:
    """As much of a driver as compiling needs."""

    def get_current_target(self):
        return GPUTarget("cuda", 90, 32)

    def get_current_device(self):
        return 0

    def get_current_stream(self, device):
        return 0


def main():
    triton.runtime.driver.set_active(Card())
    launches = {"reach": 0, "settle": 0}
    built = {"reach": set(), "settle": set()}
    reaches = set()  # an op of several passes has a reach kernel of its own
    by_themselves = set()
    real = JITFunction.run

    def build_only(self, *args, grid, warmup, **kwargs):
        kernel = real(self, *args, grid=grid, warmup=True, **kwargs)
        launches[self.fn.__name__] += 1
        reaches.update([kwargs["REACH"]] if "REACH" in kwargs else [])
        built[self.fn.__name__].add(kernel.hash)
        return Binary(self, args, {name: kwargs[name] for name in self.arg_names if name in kwargs})

    class Binary:
        """Stands for a binary that is launched by itself: it must get what Triton would have passed to it, with addresses for tensors."""

        def __init__(self, function, arguments, constants):
            self.kernel, self.function, self.constants = function, None, constants
            self.pointers = [isinstance(a, torch.Tensor) for a in arguments]
            self.run, self.packed_metadata = self.launch, None

        def launch(self, tiles, one, one_more, stream, binary, metadata, launch_metadata, enter_hook, exit_hook, *args):
            launches[self.kernel.fn.__name__] += 1
            by_themselves.add(self.kernel.fn.__name__)
            assert len(args) == len(self.kernel.arg_names) and args[len(self.pointers) :] == tuple(self.constants.values())
            assert self.kernel.arg_names[len(self.pointers) :] == list(self.constants)
            assert all(a > 2**20 if pointer else a < 2**20 for a, pointer in zip(args, self.pointers)), args

    JITFunction.run = build_only
    engine.native.interpreted = lambda: True  # images on the CPU go Triton's way, as if on a card
    pipe = Pipeline(recipe())
    for seed, (b, h, w) in enumerate([(3, 224, 224), (1, 224, 224), (17, 64, 96), (2, 1, 1), (5, 33, 48), (4, 20, 224), (1, 16, 16)]):
        x = torch.zeros(b, 3, h, w, dtype=torch.uint8)
        engine.execute(pipe.sample([7 * seed + i for i in range(b)], (h, w), view=seed), x)
    program = Pipeline(degrade.MeanShift(0.1)).sample([0], (32, 32))
    engine.execute(program, torch.zeros(1, 3, 32, 32, dtype=torch.uint8).to(memory_format=torch.channels_last))
    print(
        json.dumps(
            {"launches": launches, "built": {k: len(v) for k, v in built.items()}, "reaches": len(reaches), "by_themselves": sorted(by_themselves)}
        )
    )


if __name__ == "__main__":
    main()
