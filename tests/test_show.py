"""One image shown: outlines against brute force, views of the right size and content, the command, and the figure."""

import subprocess
import sys

import numpy as np
import pytest
import torch

import degrade
from degrade import Compose, GaussianBlur, GaussianNoise, HueRotation, Jpeg, Local, MeanShift, Pipeline, draw, masks, pictures
from degrade.cli import app, main
from degrade.cli.demo import recipe


def image(height, width, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (3, height, width), dtype=np.uint8))


def chain(seed=3):
    """A chain under a mask with a second one inside, a hard rectangle, and an op over the whole frame."""
    inner = Local(Jpeg(quality=8), masks.Ellipse(area=0.15, feather=0.1))
    outer = Local(Compose(GaussianBlur(2.0), inner, GaussianNoise(std=0.1)), masks.Blob(area=0.4, feather=0.3))
    return Pipeline(Compose(outer, Local(HueRotation(60), masks.Rectangle(area=0.1, feather=0.0)), MeanShift(0.1)), seed=seed)


# ---- outlines --------------------------------------------------------------------------------------------------------


def brute_outline(inside):
    height, width = inside.shape
    out = np.zeros_like(inside)
    for y in range(height):
        for x in range(width):
            around = [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
            out[y, x] = inside[y, x] and any(0 <= v < height and 0 <= u < width and not inside[v, u] for v, u in around)
    return out


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 1), (13, 22), (31, 17)])
@pytest.mark.parametrize("level", [0.05, 0.5])
def test_outline_is_what_has_a_neighbour_outside(size, level):
    for seed in range(5):
        weight = np.random.default_rng(seed).random(size)
        weight[weight > 0.9] = level  # at the level is inside
        assert np.array_equal(pictures.outline(weight >= level), brute_outline(weight >= level))


def test_a_wider_outline_goes_inwards_step_by_step():
    inside = np.random.default_rng(1).random((40, 53)) < 0.97
    peeled, expected = inside, np.zeros_like(inside)
    for width in (1, 2, 3):
        ring = brute_outline(peeled)
        expected, peeled = expected | ring, peeled & ~ring
        assert np.array_equal(pictures.outline(inside, width), expected)
    assert expected.any() and peeled.any()


def test_all_or_nothing_has_no_outline():
    assert not pictures.outline(np.ones((5, 6), bool)).any() and not pictures.outline(np.zeros((5, 6), bool)).any()


@pytest.mark.parametrize("width", [256, 1024])
def test_lines_grow_with_the_picture(width):
    """Down the middle of a half plane: the seam outside the mask, then the line inside it, then the image."""
    weights = np.zeros((1, 8, width), np.float32)
    weights[:, :, width // 2 :] = 1.0
    out = pictures.outlined(np.full((8, width, 3), 9, np.uint8), weights, [(1, 2, 3)])
    scale = width // 256
    seam, line = (out == 255).all(2), (out == (1, 2, 3)).all(2)
    assert np.flatnonzero(seam[4]).tolist() == list(range(width // 2 - scale, width // 2))
    assert np.flatnonzero(line[4]).tolist() == list(range(width // 2, width // 2 + round(2.5 * scale)))
    assert (out[~seam & ~line] == 9).all()


def test_coinciding_lines_take_turns_and_crossing_ones_both_show():
    weights = np.zeros((3, 200, 256), np.float32)
    weights[:2, 50:150, 60:180] = 1.0
    weights[2, 100:, :] = 1.0
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]
    out = pictures.outlined(np.zeros((200, 256, 3), np.uint8), weights, colours)
    shares = [(out == c).all(2)[50:150, 60:180].sum() for c in colours[:2]]
    assert min(shares) > 0.8 * max(shares)
    assert (out == colours[2]).all(2)[100, :60].all()
    alone = pictures.outlined(np.zeros((200, 256, 3), np.uint8), weights[:1], colours)
    painted = np.isin(out.reshape(-1, 3) @ [1, 2, 4], [255, 510]).reshape(200, 256)
    assert np.array_equal(painted[50:99, 60:180], (alone == colours[0]).all(2)[50:99, 60:180])


def test_no_masks_leave_the_image():
    x = image(20, 30).permute(1, 2, 0).numpy()
    assert np.array_equal(pictures.outlined(x, np.zeros((0, 20, 30), np.float32), []), x)
    assert np.array_equal(pictures.outlined(x, np.ones((2, 20, 30), np.float32), [(1, 2, 3)] * 2), x)


def test_chips_lie_inside_the_frame_on_their_lines_and_apart():
    y, x = np.mgrid[0:200, 0:256].astype(np.float32)
    disks = [np.clip(1.5 - np.hypot(y - cy, x - cx) / r, 0, 1) for cy, cx, r in ((100, 120, 60), (100, 120, 60), (0, 0, 40), (199, 255, 20))]
    weights = np.stack([*disks, np.ones_like(y), np.zeros_like(y), 0.3 * disks[0]])  # whole, empty, and one that never reaches a half
    side = 22
    centres = np.asarray(pictures.places(weights, side))
    assert (centres >= side // 2).all() and (centres[:, 0] <= 256 - side // 2).all() and (centres[:, 1] <= 200 - side // 2).all()
    apart = np.abs(centres[:, None] - centres).max(2)[np.triu_indices(len(centres), 1)]
    assert apart.min() >= side
    for (cx, cy), weight, level in ((centres[0], weights[0], 0.5), (centres[1], weights[1], 0.5), (centres[6], weights[6], 0.05)):
        assert pictures.outline(weight >= level)[cy, cx]


@pytest.mark.parametrize("size", [(1, 192), (5, 200), (192, 192)])
def test_many_chips_in_little_room(size):
    centres = np.asarray(pictures.places(np.ones((30, *size), np.float32), 19))
    assert len(centres) == 30 and (centres[:, 0] < size[1]).all() and (centres[:, 0] >= 0).all()


def test_ramp_has_its_ends_and_rises_in_lightness():
    colours = pictures.ramp(np.linspace(0, 1, 101))
    assert colours.dtype == np.uint8 and tuple(colours[0]) == pictures.RAMP[0] and tuple(colours[-1]) == pictures.RAMP[-1]
    assert (np.diff(colours @ [0.2126, 0.7152, 0.0722]) > 0).all()
    assert pictures.ramp(np.zeros((4, 5))).shape == (4, 5, 3)


# ---- views -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(224, 200), (40, 60), (1, 1), (37, 501)])
def test_views_are_enlarged_by_a_whole_factor(size):
    x = image(*size)
    program = chain().sample([5], size)
    seen = pictures.views(program, x)
    factor = -(-192 // size[1])
    large = [
        np.repeat(np.repeat(a, factor, 0), factor, 1)
        for a in (x.permute(1, 2, 0).numpy(), degrade.apply(program, x[None])[0].permute(1, 2, 0).numpy())
    ]
    assert np.array_equal(seen.original, large[0]) and np.array_equal(seen.result, large[1])
    assert seen.outlined.shape == seen.original.shape and seen.severity.shape == seen.original.shape[:2]
    assert len(seen.slots) == len(seen.colours) == len(seen.chips) == 5 == len(set(seen.colours))


def test_large_images_are_means_over_blocks():
    x = image(70, 2050)
    seen = pictures.views(Pipeline(MeanShift(0.0)).sample([0], (70, 2050)), x)
    assert seen.original.shape == (24, 684, 3)  # a third, the rest at the edges a block of its own
    full = x[:, 3:6, 9:12].double().mean((1, 2))
    corner = x[:, 69:, 2049:].double().mean((1, 2))
    assert np.abs(seen.original[1, 3] - full.numpy()).max() <= 0.51 and np.abs(seen.original[-1, -1] - corner.numpy()).max() <= 0.51


def test_severity_is_what_no_slot_leaves_alone():
    program = chain().sample([7, 8], (45, 200))
    seen = pictures.views(program, image(45, 200), sample=1)
    left = np.ones((45, 200))
    labels = degrade.Labels(program)
    for slot in range(program.slots):
        if program.code[1, slot] >= 0:
            left *= 1.0 - program.severity[1, slot] * labels.masks[1, slot].double().numpy()
    assert np.abs(seen.severity - (1.0 - left)).max() < 1e-5 and seen.severity.max() > 0.5


def test_a_sample_is_shown_as_its_batch_has_it():
    pipe, size = chain(), (33, 200)
    batch = torch.stack([image(*size, seed) for seed in range(3)])
    y = pipe(batch, ids=[4, 9, 2])
    program = pipe.sample([4, 9, 2], size)
    for sample in range(3):
        for x in (batch, batch[sample], batch[sample : sample + 1]):
            assert np.array_equal(pictures.views(program, x, sample).result, y[sample].permute(1, 2, 0).numpy())


def test_grey_and_float_images():
    program = chain().sample([0], (20, 200))
    grey = image(20, 200)[:1]
    seen = pictures.views(program, grey)
    assert np.array_equal(seen.original, grey[0, :, :, None].expand(-1, -1, 3).numpy())
    assert (seen.result[..., 0] == seen.result[..., 1]).all() and (seen.result[..., 0] == seen.result[..., 2]).all()
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        real = (image(20, 200) / 255).to(dtype)
        shown = pictures.views(program, real).original
        assert np.abs(shown.astype(int) - image(20, 200).permute(1, 2, 0).numpy()).max() <= (1 if dtype is torch.bfloat16 else 0)
    assert pictures.views(program, (image(20, 200) / 255).requires_grad_()).original.shape == (20, 200, 3)


def test_the_mask_given_at_the_call_is_outlined_and_its_sample_chosen():
    pipe = Pipeline(Local(MeanShift(0.3), masks.FromTensor()))
    program = pipe.sample([0, 1], (40, 256))
    mask = torch.zeros(2, 1, 40, 256)
    mask[1, :, 10:30, 50:150] = 1.0
    x = torch.stack([image(40, 256), image(40, 256, 1)])
    seen = pictures.views(program, x, 1, mask)
    line = (seen.outlined == seen.colours[0]).all(2)
    assert line[10, 50:150].all() and not line[:10].any() and not line[30:].any()
    assert np.array_equal(pictures.views(program, x[1], 1, mask[1, 0]).outlined, seen.outlined)
    assert np.array_equal(pictures.views(program, x, 0, mask).result, x[0].permute(1, 2, 0).numpy())
    with pytest.raises(ValueError, match="give mask= as b 1 h w"):
        pictures.views(program, x)
    with pytest.raises(ValueError, match="mask holds 3 and the program 2"):
        pictures.views(program, x, 0, torch.zeros(3, 1, 40, 256))
    with pytest.raises(ValueError, match="the program reads none"):
        pictures.views(chain().sample([0], (40, 256)), x[0], 0, mask[0])


def test_what_cannot_be_shown():
    program = chain().sample([0, 1], (20, 30))
    for sample in (-1, 2, True, 0.0):
        with pytest.raises(ValueError, match=r"is not in the program; accepted: a whole number from 0 to 1"):
            pictures.views(program, image(20, 30), sample)
    with pytest.raises(ValueError, match="holds no sample"):
        pictures.views(program.select([]), image(20, 30))
    with pytest.raises(ValueError, match="x holds 3 and the program 2"):
        pictures.views(program, torch.zeros(3, 3, 20, 30))
    with pytest.raises(ValueError, match="drawn for images of 20x30"):
        pictures.views(program, image(30, 20))
    with pytest.raises(ValueError, match="Divide by 255"):
        pictures.views(program, image(20, 30).float())
    with pytest.raises(TypeError, match="x is a ndarray"):
        pictures.views(program, image(20, 30).numpy())


# ---- words and sheet -------------------------------------------------------------------------------------------------


def test_notes_tell_units_severity_level_and_masks():
    program = chain().sample([0], (64, 64))
    seen = pictures.views(program, image(64, 64))
    told = draw.notes(seen.labels, 0, seen.slots, seen.colours, strength=True)
    assert [n.chip for n in told] == list("12345") and [n.colour for n in told] == list(seen.colours)
    assert [n.heading for n in told] == ["gaussian blur", "jpeg", "gaussian noise", "hue rotation", "mean shift"]
    assert [n.aside.split(",")[0] for n in told] == ["blob", "blob × ellipse", "blob", "rectangle", "whole frame"]
    assert told[3].aside == "rectangle, 10 % of the frame"
    severity = [f"severity {s:.2f}" for s in program.severity[0].tolist()]
    assert [n.lines[0] for n in told] == ["sigma 2 px", "quality 8", "std 0.1 of full range", "angle 60°", "amount 0.1 of full range"]
    assert [n.lines[-1] for n in told] == severity
    combined = Pipeline(Local(MeanShift(0.1), masks.Difference(masks.Ellipse(area=0.4), masks.Stripes(area=0.5)))).sample([0], (64, 64))
    assert combined.describe(0).endswith(" in " + draw.notes(degrade.Labels(combined), 0, [0], [(0, 0, 0)])[0].aside.split(",")[0])
    bank = degrade.banks.kadid10k().sample([0], (64, 64))
    words = draw.notes(degrade.Labels(bank), 0, [0], [(0, 0, 0)], strength=True)[0].lines
    assert words[-1] == f"level {bank.level[0, 0]:.3g}" and words[-2] == f"severity {bank.severity[0, 0]:.2f}"


def test_a_small_area_is_not_called_none():
    assert [draw._percent(v) for v in (0.0, 0.0042, 0.01, 0.246, 1.0)] == ["0 %", "0.4 %", "1 %", "25 %", "100 %"]


@pytest.mark.parametrize("size", [(224, 224), (40, 60), (300, 20), (1, 1)])
def test_the_sheet_holds_its_pictures(size):
    pytest.importorskip("PIL")
    seen = pictures.views(chain().sample([1], size), image(*size))
    sheet = draw.degradation(seen, title="an image", subtitle="from somewhere")
    high, wide = seen.original.shape[:2]
    scale = max(wide, 224) / 256
    assert sheet.dtype == np.uint8 and sheet.shape[0] > high + 60 * scale and abs(sheet.shape[1] - (4 * wide + (2 * 36 + 5 * 12 + 400) * scale)) <= 8
    gap, margin = round(12 * scale), round(36 * scale)
    lefts = [margin + i * (wide + gap) for i in range(4)]
    top = next(t for t in range(sheet.shape[0] - high) if np.array_equal(sheet[t : t + high, lefts[0] : lefts[0] + wide], seen.original))
    held = [sheet[top : top + high, left : left + wide] for left in lefts]
    assert np.array_equal(held[1], seen.result) and np.array_equal(held[3], pictures.ramp(seen.severity))
    changed = (held[2] != seen.outlined).any(2)  # by chips alone
    side = round(22 * scale)
    for x, y in seen.chips:
        changed[max(y - side // 2, 0) : y + side, max(x - side // 2, 0) : x - side // 2 + side] = False
    assert not changed.any()
    assert (sheet[:, -round(10 * scale) :] == 255).all()  # no text runs over the edge


def test_an_empty_program_is_shown_as_nothing():
    pytest.importorskip("PIL")
    x = image(30, 40)
    program = Pipeline(GaussianBlur(2.0, p=0.0)).sample([0], (30, 40))
    seen = pictures.views(program, x)
    assert np.array_equal(seen.result, seen.original) and np.array_equal(seen.outlined, seen.original) and not seen.severity.any()
    assert draw.degradation(seen).ndim == 3


# ---- the command -----------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path, monkeypatch):
    pytest.importorskip("PIL")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def invoke(*arguments):
    from typer.testing import CliRunner

    return CliRunner().invoke(app, ["show", *map(str, arguments)])


def written(array, name, **options):
    from PIL import Image

    Image.fromarray(array).save(name, **options)


def test_show_draws_a_photograph_by_default(folder):
    pytest.importorskip("skimage")
    from PIL import Image

    done = invoke("--size", 64)
    assert done.exit_code == 0, done.output
    program = recipe(0, "auto").sample([0], (64, 64))
    lines = done.stdout.splitlines()
    assert (
        lines[0] == "image     photograph, 64 x 64"
        and lines[1] == "drawn     Recipe of degrade demo, seed 0, id 0"
        and lines[-1] == "wrote     degrade-show.png"
    )
    assert ", then ".join(line[5:] for line in lines[3:-1]) == program.describe(0)
    assert [line[:5] for line in lines[3:-1]] == [f"  {i + 1}  " for i in range(len(lines) - 4)]
    assert [p.name for p in folder.iterdir()] == ["degrade-show.png"] and Image.open("degrade-show.png").format == "PNG"


def test_show_draws_what_was_asked_for(folder):
    from PIL import Image

    written(image(48, 200).permute(1, 2, 0).numpy(), "x.png")
    chain().save("pipe.yaml")
    chain().sample([3, 6, 8], (48, 200)).save("program.json")
    degrade.banks.kadid10k(seed=4).sample([2], (48, 200)).save("one.json")
    same = {
        "file": (("--pipeline", "pipe.yaml", "--id", 6), ("--program", "program.json", "--sample", 1)),
        "bank": (("--bank", "kadid10k", "--seed", 4, "--id", 2), ("--program", "one.json")),
    }
    pixels = {}
    for name, (a, b) in same.items():
        programs = []
        for arguments in (a, b):
            done = invoke("x.png", *arguments, "--out", "out.png")
            assert done.exit_code == 0, done.output
            programs.append(done.stdout.splitlines()[3:])
            pixels[name, arguments] = np.asarray(Image.open("out.png"))
        assert programs[0] == programs[1]
        head = round(140 * 224 / 256)  # the subtitle says where the program is from
        first, second = (pixels[name, arguments] for arguments in (a, b))
        assert np.array_equal(first[head:], second[head:]) and not np.array_equal(first[:head], second[:head])
    other = invoke("x.png", "--pipeline", "pipe.yaml", "--seed", 11, "--out", "out.png")
    assert "seed 11, id 0" in other.stdout


def test_images_are_turned_upright_and_made_rgb(folder):
    from PIL import Image

    from degrade.cli.show import load_image

    x = image(20, 32).permute(1, 2, 0).numpy()
    turned = Image.Exif()
    turned[0x0112] = 6  # shown turned by 90 degrees clockwise
    written(x, "turned.png", exif=turned)
    assert np.array_equal(load_image(folder / "turned.png", None).permute(1, 2, 0).numpy(), np.rot90(x, -1))
    written(x[..., 0], "grey.png")
    assert np.array_equal(load_image(folder / "grey.png", None).numpy(), np.stack([x[..., 0]] * 3))
    written((x[..., 0].astype(np.uint16) * 257), "deep.png")
    assert np.array_equal(load_image(folder / "deep.png", None).numpy(), np.stack([x[..., 0]] * 3))
    written(np.concatenate([x, x[..., :1]], 2), "clear.png")
    assert np.array_equal(load_image(folder / "clear.png", None).permute(1, 2, 0).numpy(), x)
    flat = np.zeros((20, 32, 3), np.uint8)
    flat[:, 6:26] = 200
    written(flat, "flat.png")
    square = load_image(folder / "flat.png", 40)
    assert square.shape == (3, 40, 40) and (square == 200).all()  # the middle square
    assert invoke("grey.png", "--bank", "tid2013").exit_code == 0


BAD = {
    "no file": (["nowhere.png"], "IMAGE 'nowhere.png' cannot be read: No such file or directory"),
    "no image": (["text.png"], "IMAGE 'text.png' cannot be read: Pillow knows no such format"),
    "cut off": (["cut.png"], "IMAGE 'cut.png' cannot be read"),
    "a folder": (["folder"], "IMAGE 'folder' cannot be read: Is a directory"),
    "floats": (["float.tiff"], "its values have no known range"),
    "bank": (["x.png", "--bank", "arnica"], "did you mean 'arniqa'?"),
    "another size": (
        ["x.png", "--program", "small.json"],
        "was drawn for 16 x 16 pixels and the image has 24 x 40; accepted: equal sizes, for which --size 16",
    ),
    "several": (["x.png", "--program", "three.json"], "holds 3 samples; say which to show: --sample 0 to 2"),
    "far sample": (["x.png", "--program", "three.json", "--sample", "3"], "--sample 3 is not in 'three.json'; accepted: 0 to 2"),
    "negative sample": (["x.png", "--program", "three.json", "--sample", "-1"], "--sample -1 is not"),
    "waits for a mask": (["x.png", "--pipeline", "call.yaml"], "masks.FromTensor() without a tensor, which waits for mask= at the call"),
    "two sources": (["x.png", "--bank", "arniqa", "--pipeline", "call.yaml"], "--pipeline and --bank were given; accepted: one of them"),
    "id of a program": (["x.png", "--program", "three.json", "--id", "0"], "--id 0 was given with --program"),
    "seed of a program": (["x.png", "--program", "three.json", "--seed", "0"], "--seed 0 was given with --program"),
    "sample of a bank": (["x.png", "--sample", "0"], "--sample 0 was given without --program"),
    "a program as pipeline": (["x.png", "--pipeline", "three.json"], "is a program; accepted: a pipeline (.yaml)"),
    "a pipeline as program": (["x.png", "--program", "call.yaml"], "is a pipeline; accepted: a program (.json)"),
    "no pipeline": (["x.png", "--pipeline", "none.yaml"], "none.yaml: No such file"),
    "suffix": (["x.png", "--pipeline", "x.png"], "accepted: .yaml or .yml"),
    "no PNG": (["x.png", "--out", "sheet.jpg"], "sheet.jpg"),
    "id": (["x.png", "--id", "99999999999999999999"], "int64"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_sentence(case, folder, capsys):
    from PIL import Image

    written(image(24, 40).permute(1, 2, 0).numpy(), "x.png")
    (folder / "cut.png").write_bytes((folder / "x.png").read_bytes()[:900])
    (folder / "text.png").write_text("no image")
    (folder / "folder").mkdir()
    Image.fromarray(np.ones((4, 4), np.float32)).save("float.tiff")
    chain().sample([0, 1, 2], (24, 40)).save("three.json")
    chain().sample([0], (16, 16)).save("small.json")
    Pipeline(Local(MeanShift(0.1), masks.FromTensor())).save("call.yaml")
    before = sorted(p.name for p in folder.iterdir())
    arguments, named = BAD[case]
    assert main(["show", *arguments]) == 2
    told = capsys.readouterr()
    assert named in told.err, told.err
    assert told.err.startswith("degrade: ") and told.err.count("\n") == 1 and "Traceback" not in told.err
    assert sorted(p.name for p in folder.iterdir()) == before


def test_missing_pillow_names_the_extra(folder, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert main(["show", "x.png"]) == 2
    assert "degrade[demo]" in capsys.readouterr().err


# ---- the figure ------------------------------------------------------------------------------------------------------


def test_the_figure_has_its_panels_and_the_program():
    pytest.importorskip("matplotlib")
    x, program = image(48, 200), chain().sample([3, 4], (48, 200))
    made = program.show(x, sample=1)
    seen = pictures.views(program, x, 1)
    panels = {axes.get_label(): axes for axes in made.axes}
    assert list(panels) == ["original", "degraded", "where", "severity", "scale"]
    shown = {name: panels[name].images[0].get_array() for name in list(panels)[:4]}
    for name, array in (("original", seen.original), ("degraded", seen.result), ("where", seen.outlined), ("severity", seen.severity)):
        assert np.array_equal(shown[name], array)
    assert panels["severity"].images[0].get_clim() == (0.0, 1.0)
    assert [t.get_text() for t in panels["where"].texts] == list("12345")
    told = " | ".join(t.get_text() for t in made.texts)
    for note in draw.notes(seen.labels, 0, seen.slots, seen.colours, strength=True):
        assert f"{note.chip} | {note.heading} | {note.aside} | {'  ·  '.join(note.lines)}" in told


@pytest.mark.parametrize("recipe", ["chain", "realesrgan", "nothing", "call"])
@pytest.mark.parametrize("size", [(40, 60), (300, 20), (20, 400)])
def test_nothing_of_the_figure_is_cut_off(recipe, size):
    pytest.importorskip("matplotlib")
    pipes = {"chain": chain, "realesrgan": degrade.banks.realesrgan, "nothing": lambda: Pipeline(Jpeg(quality=9, p=0.0))}
    mask = None
    if recipe == "call":
        pipes["call"], mask = lambda: Pipeline(Local(MeanShift(0.1), masks.FromTensor())), torch.ones(1, 1, *size)
    made = pipes[recipe]().sample([0], size).show(image(*size), mask=mask)
    made.canvas.draw()
    frame = made.bbox
    parts = [*made.texts, *made.axes[2].texts]
    boxes = [t.get_window_extent() for t in parts]
    assert all(b.x0 >= 0 and b.y0 >= 0 and b.x1 <= frame.x1 and b.y1 <= frame.y1 for b in boxes)
    words = [t.get_window_extent() for t in made.texts]
    assert not any(a.overlaps(b) for i, a in enumerate(words) for b in words[:i])


def test_the_figure_is_an_image_to_a_notebook():
    pytest.importorskip("matplotlib")
    from matplotlib.figure import Figure

    made = chain().sample([0], (20, 30)).show(image(20, 30) / 255)
    assert isinstance(made, Figure) and made._repr_png_().startswith(b"\x89PNG")


def test_the_figure_leaves_pyplot_alone(pytestconfig):
    pytest.importorskip("matplotlib")
    code = """
import sys, torch, degrade
program = degrade.Pipeline(degrade.MeanShift(0.1)).sample([0], (20, 30))
assert "matplotlib" not in sys.modules
made = program.show(torch.zeros(3, 20, 30))
made._repr_png_()
assert "matplotlib.pyplot" not in sys.modules
import matplotlib
matplotlib.use("svg")
import matplotlib.pyplot as plt
program.show(torch.zeros(3, 20, 30))._repr_png_()
assert matplotlib.get_backend() == "svg" and plt.get_fignums() == []
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=pytestconfig.rootpath)
    assert done.returncode == 0, done.stderr


def test_missing_matplotlib_names_the_extra(pytestconfig):
    code = """
import sys, torch, degrade
sys.modules["matplotlib"] = None
try:
    degrade.Pipeline(degrade.MeanShift(0.1)).sample([0], (20, 30)).show(torch.zeros(3, 20, 30))
except ModuleNotFoundError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=pytestconfig.rootpath)
    assert "degrade[demo]" in done.stdout, done.stderr
