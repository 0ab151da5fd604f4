"""`torch.compile`: no graph break around a pipeline, and no draw frozen into a graph."""

import copy
import pickle

import pytest
import torch

import degrade
from degrade import Compose, GaussianBlur, GaussianNoise, Local, Pipeline, masks


@pytest.fixture(autouse=True)
def fresh():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def pipeline(**options):
    return Pipeline(Compose(Local(GaussianBlur(sigma=(0.5, 2.0)), masks.Ellipse()), GaussianNoise(std=0.1)), seed=3, **options)


def images(*shape):
    return torch.rand(shape, generator=torch.Generator().manual_seed(1))


def compiled(function, backend="aot_eager"):
    return torch.compile(function, fullgraph=True, backend=backend)


@pytest.mark.parametrize("shape", [(3, 3, 16, 20), (3, 16, 20)], ids=str)
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float16, torch.float32], ids=str)
def test_equals_eager_bit_for_bit(dtype, shape):
    x = (images(*shape) * 255).to(torch.uint8) if dtype == torch.uint8 else images(*shape).to(dtype)
    pipe, ids = pipeline(), torch.arange(3 if len(shape) == 4 else 1)
    assert torch.equal(compiled(lambda x, ids: pipe(x, ids=ids))(x, ids), pipe(x, ids=ids))


def test_other_layouts_keep_theirs():
    x = images(2, 3, 16, 20).to(memory_format=torch.channels_last)
    pipe = pipeline()
    y = compiled(lambda x: pipe(x, ids=torch.arange(2)) * 1.0)(x)
    assert torch.equal(y, pipe(x, ids=range(2))) and y.stride() == x.stride()


def test_two_steps_give_two_draws():
    pipe = pipeline()
    step = compiled(lambda x: pipe(x))
    x = images(2, 3, 16, 20)
    first, second = step(x), step(x)
    assert not torch.equal(first, second)
    other = pipeline()
    assert torch.equal(other(x), first) and torch.equal(other(x), second)


def test_equal_calls_in_one_graph_are_not_merged():
    pipe = pipeline()
    a, b = compiled(lambda x: (pipe(x), pipe(x)))(images(2, 3, 16, 20))
    assert not torch.equal(a, b)


def test_the_epoch_is_read_when_it_runs():
    pipe = pipeline()
    step = compiled(lambda x, ids: pipe(x, ids=ids))
    x, ids = images(2, 3, 16, 20), torch.arange(2)
    before = step(x, ids)
    pipe.set_epoch(5)
    after = step(x, ids)
    assert not torch.equal(before, after) and torch.equal(after, pipe(x, ids=ids))


def test_mask_view_and_program_ids_arrive():
    pipe = Pipeline(Local(GaussianNoise(std=0.2), masks.FromTensor()), seed=1)
    x, ids = images(2, 3, 16, 20), torch.arange(2)
    mask = images(2, 1, 16, 20)
    step = compiled(lambda x, mask: pipe(x, ids=ids, mask=mask, view=2, program_ids=torch.zeros(2, dtype=torch.int64)))
    assert torch.equal(step(x, mask), pipe(x, ids=ids, mask=mask, view=2, program_ids=[0, 0]))


def test_ids_of_masks_and_noise_arrive():
    pipe = Pipeline(Compose(Local(degrade.MeanShift((0.1, 0.2)), masks.Ellipse()), GaussianNoise(std=0.1)), seed=1)
    x, ids = images(3, 3, 16, 20), torch.arange(3)
    given = {"mask_ids": torch.tensor([5, 5, 6]), "noise_ids": torch.tensor([8, 7, 7])}
    got = compiled(lambda x: pipe(x, ids=ids, **given))(x)
    assert torch.equal(got, pipe(x, ids=ids, **given)) and not torch.equal(got, pipe(x, ids=ids, mask_ids=given["mask_ids"]))
    assert not torch.equal(got, pipe(x, ids=ids, noise_ids=given["noise_ids"]))


def test_a_training_step_through_a_network():
    pipe, net = pipeline(), torch.nn.Conv2d(3, 2, 3)
    step = compiled(lambda x, ids: net(pipe(x, ids=ids)).square().mean())
    x, ids = images(2, 3, 16, 20), torch.arange(2)
    step(x, ids).backward()
    got = net.weight.grad.clone()
    net.zero_grad()
    net(pipe(x, ids=ids)).square().mean().backward()
    assert torch.allclose(got, net.weight.grad, rtol=1e-5, atol=1e-7)


def test_gradients_still_flow_to_the_images():
    """The operator passes none, so that call breaks the graph."""
    pipe = Pipeline(degrade.Gamma(1.5), seed=1)
    x = images(1, 3, 8, 8).requires_grad_()
    torch.compile(lambda x: pipe(x, ids=torch.arange(1)).sum(), backend="aot_eager")(x).backward()
    assert x.grad is not None and float(x.grad.abs().sum()) > 0


def test_copies_draw_for_themselves():
    pipe = pipeline()
    for other in (copy.deepcopy(pipe), pickle.loads(pickle.dumps(pipe))):
        other.set_epoch(1)
        x, ids = images(2, 3, 16, 20), torch.arange(2)
        got = compiled(lambda x, ids, other=other: other(x, ids=ids))(x, ids)
        assert torch.equal(got, other(x, ids=ids)) and not torch.equal(got, pipe(x, ids=ids))


def test_is_kept_out_of_cuda_graphs():
    tags = torch.ops.degrade.pipeline.default.tags
    assert torch.Tag.nondeterministic_seeded in tags
    assert not hasattr(torch.Tag, "cudagraph_unsafe") or torch.Tag.cudagraph_unsafe in tags
