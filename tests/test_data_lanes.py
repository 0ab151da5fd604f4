"""The way to a GPU, played with a stand-in for `torch.cuda` that writes down who waits for whom, and what is refused in a worker."""

import contextlib

import pytest
import torch

from degrade import GaussianNoise, Local, Pipeline, masks
from degrade.data import Collate, DeviceLoader, Indexed, Transform, lanes
from degrade.data.stage import check_worker


class Cuda:
    """Streams with names; `log` is what was called, in order."""

    def __init__(self):
        self.log = []
        self.now = self.main = self.Stream(None, "main")

    def Stream(self, device, name="side"):
        cuda = self

        class Stream:
            def wait_stream(self, other):
                cuda.log.append(f"{name} waits for {other.name}")

            def record_event(self):
                self.marks += 1
                cuda.log.append(f"mark {self.marks} on {name}")
                return f"mark {self.marks}"

            def wait_event(self, event):
                cuda.log.append(f"{name} waits for {event}")

        stream = Stream()
        stream.name, stream.marks = name, 0
        return stream

    def current_stream(self, device):
        return self.now

    @contextlib.contextmanager
    def stream(self, stream):
        before, self.now = self.now, stream
        yield
        self.now = before


class Noted(lanes.Side):
    """A side stream whose copies stay here: nothing but the pinning and the allocator is replaced."""

    def pinned(self, tensor):
        self.cuda.log.append(f"pin on {self.cuda.now.name}")
        return tensor.as_subclass(torch.Tensor).clone()  # as pin_memory does

    def read_on(self, tensor, stream):
        self.cuda.log.append(f"{stream.name} reads {tuple(tensor.shape)}")


class Noisy(Pipeline):
    def forward(self, x, **options):
        self.cuda.log.append(f"degrade {len(x)} on {self.cuda.now.name}")
        return super().forward(x, **options)


def played(batches, recipe=None, **options):
    cuda = Cuda()
    pipe = Noisy(recipe or GaussianNoise(0.1), backend="torch")
    pipe.cuda = cuda
    loader = DeviceLoader(batches, pipe, "cpu", **options)
    loader._lane = Noted(torch.device("cpu"), cuda)
    return loader, cuda


def batches(count, size=2):
    return [(torch.full((size + i, 3, 4, 4), 0.5), torch.arange(size + i) + 10 * i) for i in range(count)]


def test_each_batch_is_begun_one_ahead_on_the_side_stream_and_waited_for_when_it_is_given():
    loader, cuda = played(batches(3), ids=1)
    got = []
    for y, ids in loader:
        assert cuda.now is cuda.main
        cuda.log.append(f"step {len(y)}")
        got.append((y, ids))
    given = [f"main reads {shape}" for n in (2, 3, 4) for shape in ((n, 3, 4, 4), (n,))]
    work = [["pin on side", "pin on side", f"degrade {n} on side", f"mark {n - 1} on side"] for n in (2, 3, 4)]
    want = ["side waits for main", *work[0], *work[1], "main waits for mark 1", *given[:2], "step 2"]
    want += [*work[2], "main waits for mark 2", *given[2:4], "step 3", "main waits for mark 3", *given[4:], "step 4"]
    assert cuda.log == want
    plain = Pipeline(GaussianNoise(0.1), backend="torch")
    assert all(torch.equal(y, plain(x, ids=ids)) and torch.equal(told, ids) for (y, told), (x, ids) in zip(got, batches(3)))


def test_masks_made_of_images_are_kept_for_the_caller_too():
    loader, cuda = played(batches(1), Local(GaussianNoise(0.1), masks.Saliency()), labels=True)
    ((_, labels),) = list(loader)
    assert "main reads (2, 4, 4)" in cuda.log and labels.masks.shape == (2, 1, 4, 4)


def test_tensors_that_are_on_the_device_already_are_waited_for():
    cuda = Cuda()
    side = Noted(torch.device("cpu"), cuda)
    made = torch.zeros(2)
    with side.work(iter([made])):
        assert cuda.now.name == "side"
    assert cuda.log == ["side waits for main", "side reads (2,)"]
    cuda.log.clear()
    with side.work(iter([])):
        pass
    assert cuda.log == []


@pytest.mark.parametrize("after", [0, 1, 2, 3])
def test_a_checkpoint_knows_nothing_of_the_batch_that_was_begun_ahead(after):
    want = [y for y, _ in played(batches(3))[0]]
    cut, _ = played(batches(3))
    loop, state, seen = iter(cut), cut.state_dict(), []
    for _ in range(after):
        seen.append(next(loop)[0])
        state = cut.state_dict()
    loop.close()
    resumed, _ = played(batches(3))
    resumed.load_state_dict(state)
    seen += [y for y, _ in resumed]
    assert len(seen) == 3 and all(torch.equal(a, b) for a, b in zip(seen, want))


def test_types_of_torchvision_survive_the_copy():
    types = pytest.importorskip("torchvision.tv_tensors")
    box = types.BoundingBoxes(torch.tensor([[0, 0, 2, 2]]), format="XYXY", canvas_size=(4, 4))
    loader, _ = played([{"image": [types.Image(torch.rand(3, 4, 4))], "box": box, "name": "a"}])
    (got,) = list(loader)
    assert (
        type(got["image"][0]) is types.Image and type(got["box"]) is types.BoundingBoxes and got["box"].canvas_size == (4, 4) and got["name"] == "a"
    )


# ---- what is refused ------------------------------------------------------------------------------------------------------


def test_without_a_gpu_it_says_so():
    if torch.cuda.is_available():
        pytest.skip("there is one")
    with pytest.raises(RuntimeError, match=r"device=cuda is not available; accepted here: 'cpu'"):
        next(iter(DeviceLoader(batches(1), Pipeline(GaussianNoise()), "cuda")))


def test_a_gpu_in_a_forked_process_or_a_worker(monkeypatch):
    loader = DeviceLoader(batches(1), Pipeline(GaussianNoise()), "cuda:0")
    with monkeypatch.context() as patch:
        patch.setattr(torch.cuda, "_is_in_bad_fork", lambda: True)
        with pytest.raises(RuntimeError, match=r"device=cuda:0 in a process that was forked.*DeviceLoader in the process that trains.*'spawn'"):
            next(iter(loader))
    monkeypatch.setattr(torch.utils.data, "get_worker_info", lambda: object())
    with pytest.raises(RuntimeError, match=r"a worker of a DataLoader"):
        next(iter(loader))


class OnGpu(torch.Tensor):
    """A tensor that says that it is on a GPU."""

    device = torch.device("cuda:0")


def test_images_on_a_gpu_inside_a_worker(monkeypatch):
    x, pipe = torch.rand(2, 3, 4, 4).as_subclass(OnGpu), Pipeline(GaussianNoise(0.1), backend="torch")
    check_worker(x)  # outside of one
    opened = "degrade.data.stage.opened"
    monkeypatch.setattr(opened, lambda image: (image, lambda y: y))
    monkeypatch.setattr(torch.utils.data, "get_worker_info", lambda: type("Info", (), {"id": 0})())
    text = r"image is on cuda:0 inside a worker.*degrade.data.DeviceLoader\(loader, pipeline, device\)"
    for call in (
        lambda: Transform(pipe)([x, 1]),
        lambda: Collate(pipe, lambda items: items[0])([[x, 1]]),
        lambda: Indexed([x[0].as_subclass(OnGpu)], pipe)[0],
    ):
        with pytest.raises(RuntimeError, match=text):
            call()
