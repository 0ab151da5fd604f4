"""Encoders of timm and torchvision by name: features in place of classes, the libraries' own normalisation, weights from files."""

import pytest
import torch

from degrade.cli import main
from degrade.probing.encoders import encoder

timm = pytest.importorskip("timm")
torchvision = pytest.importorskip("torchvision")

X = torch.rand((2, 3, 64, 64), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", ["resnet18", "convnext_atto", "tf_efficientnet_lite0"])
def test_timm(name, tmp_path):
    """What the file's weights give, by timm's own means."""
    torch.manual_seed(1)
    model = timm.create_model(name, pretrained=False).eval()
    torch.save({"state_dict": model.state_dict()}, tmp_path / "a.pt")
    config = timm.data.resolve_model_data_config(model)
    normalised = torchvision.transforms.functional.normalize(X, config["mean"], config["std"])
    with torch.no_grad():
        want = model.forward_head(model.forward_features(normalised), pre_logits=True)
    got = encoder(f"timm:{name}", tmp_path / "a.pt")
    assert got.name == name and got.size is None and torch.allclose(got(X), want, atol=1e-5)
    assert not torch.allclose(encoder(f"timm:{name}", "random")(X), want, atol=1e-5)


def test_a_fixed_size_is_told():
    assert encoder("timm:vit_tiny_patch16_224", "random").size == (224, 224)
    assert encoder("torchvision:vit_b_32", "random").size == (224, 224)


def test_safetensors(tmp_path):
    from safetensors.torch import save_file

    model = timm.create_model("convnext_atto", pretrained=False)
    save_file(model.state_dict(), tmp_path / "a.safetensors")
    torch.save(model.state_dict(), tmp_path / "a.pt")
    of_both = [encoder("timm:convnext_atto", tmp_path / name)(X) for name in ("a.safetensors", "a.pt")]
    assert torch.equal(*of_both) and not torch.equal(of_both[0], encoder("timm:convnext_atto", "random")(X))


@pytest.mark.parametrize("name, width", [("resnet18", 512), ("mobilenet_v3_small", 1024), ("squeezenet1_1", 512), ("densenet121", 1024)])
def test_torchvision(name, width, tmp_path):
    """The head's weights turn what is given into the classes that torchvision gives."""
    torch.manual_seed(1)
    model = torchvision.models.get_model(name, weights=None).eval()
    torch.save(model.state_dict(), tmp_path / "a.pt")
    got = encoder(f"torchvision:{name}", tmp_path / "a.pt")
    features = got(X)
    assert features.shape == (2, width) and got.name == name
    normalised = torchvision.transforms.functional.normalize(X, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    if name == "squeezenet1_1":
        return  # its classes are averaged after a rectifier
    head = {"resnet18": "fc", "densenet121": "classifier"}.get(name, "classifier.3")
    with torch.no_grad():
        assert torch.allclose(model.get_submodule(head)(features), model(normalised), atol=1e-4)


@pytest.mark.parametrize("spec, words", [
    ("timm:resnet181", "encoder 'timm:resnet181' is not known; accepted: names of timm.list_models()"),
    ("timm:resnet10", "accepted: names of timm.list_models(), such as resnet10t, resnet101"),
    ("torchvision:fcn_resnet50", "encoder 'torchvision:fcn_resnet50' is not known; accepted: names of torchvision.models.list_models"),
])  # fmt: skip
def test_unknown_models(spec, words):
    with pytest.raises(ValueError) as told:
        encoder(spec, "random")
    assert words in str(told.value)


def test_weights_that_cannot_be_fetched(monkeypatch):
    def fails(*given, **options):
        raise OSError("no network\nand more")

    monkeypatch.setattr(timm, "create_model", fails)
    words = "encoder 'timm:resnet18' has no weights: OSError .no network.; accepted: a file of weights, 'random', or a network that reaches them."
    with pytest.raises(ValueError, match=words):
        encoder("timm:resnet18")


def test_the_command_line_probes_them(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    options = ["--types", "gaussian_blur", "--levels", "5", "--areas", "0.1,1", "--positions", "centre", "--size", "64", "--count", "4"]
    named = ["--encoder", "timm:convnext_atto", "--weights", "random", "--encoder", "by hand=statistics", "--weights", "-"]
    assert main(["probe", *named, "--out", str(tmp_path / "out"), *options]) == 0
    said = capsys.readouterr().out
    assert "convnext_atto, random" in said and "by hand" in said and (tmp_path / "out/probe.html").stat().st_size > 10_000
