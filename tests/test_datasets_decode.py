"""Every kind of image file becomes upright sRGB, or is refused with a reason: judged by Pillow's own conversions and by hand."""

import io
import tracemalloc
import warnings

import numpy as np
import pytest
from image_files import DISPLAY_P3, GREY_LINEAR, encoded, icc, image_module, picture, png_header

from degrade.datasets.decode import Decoder, Unwanted

cms = pytest.importorskip("PIL.ImageCms")
ops = pytest.importorskip("PIL.ImageOps")
SMALL = picture(1, 13, 10)


def read(data, **options):
    return Decoder(**options).check()(data).pixels


def by_profile(image, profile):
    return np.asarray(cms.profileToProfile(image, cms.ImageCmsProfile(io.BytesIO(profile)), cms.createProfile("sRGB"), outputMode="RGB"))


@pytest.mark.parametrize("kind", ("PNG", "BMP", "TIFF", "PPM", "WEBP"))
def test_files_without_loss_are_read_as_they_are(kind):
    options = {"lossless": True} if kind == "WEBP" else {}
    decoded = Decoder()(encoded(SMALL, kind, **options))
    assert (decoded.pixels == SMALL).all() and decoded.codec == kind and decoded.quality is None
    assert decoded.pixels.dtype == np.uint8 and decoded.pixels.shape == (13, 10, 3)


@pytest.mark.parametrize("quality", range(30, 96))
def test_quality_is_estimated_as_it_was_written(quality):
    assert Decoder()(encoded(SMALL, "JPEG", quality=quality)).quality == quality
    assert Decoder()(encoded(SMALL[..., 0], "JPEG", quality=quality)).quality == quality


def test_a_low_quality_is_refused_as_asked_and_no_other_file_is():
    low = encoded(SMALL, "JPEG", quality=40)
    with pytest.raises(Unwanted, match="quality 40 is below --min-quality 41"):
        read(low, min_quality=41)
    assert read(low, min_quality=40).shape == SMALL.shape and (read(encoded(SMALL), min_quality=100) == SMALL).all()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ("JPEG", "PNG", "TIFF"))
def test_exif_turns_images_upright(orientation, kind):
    exif = image_module.Exif()
    exif[0x0112] = orientation
    data = encoded(SMALL, kind, exif=exif)
    expected = np.asarray(ops.exif_transpose(image_module.open(io.BytesIO(data))))
    assert expected.shape == ((13, 10, 3) if orientation < 5 else (10, 13, 3))
    assert (read(data) == expected).all()


def test_damaged_exif_is_as_none():
    assert (read(encoded(SMALL, exif=b"Exif\0\0nothing that is TIFF")) == SMALL).all()


@pytest.mark.parametrize("kind", ("JPEG", "PNG"))
def test_display_p3_becomes_srgb_and_raw_stays(kind):
    data = encoded(SMALL, kind, icc_profile=DISPLAY_P3)
    stored = image_module.open(io.BytesIO(data))
    expected = by_profile(stored, DISPLAY_P3)
    assert np.abs(expected.astype(int) - np.asarray(stored)).max() > 3
    assert (read(data) == expected).all() and (read(data, colour="raw") == np.asarray(stored)).all()


def test_a_grey_profile_converts_grey_images():
    grey = image_module.fromarray(SMALL[..., 1])
    for profile in (GREY_LINEAR, icc("GRAY", 1.8)):
        expected = by_profile(grey, profile)
        assert np.abs(expected[..., 0].astype(int) - SMALL[..., 1]).max() > 3
        assert (read(encoded(grey, icc_profile=profile)) == expected).all()
    # One of another colour space, or none at all, says nothing.
    plain = np.repeat(SMALL[..., 1:2], 3, 2)
    assert (read(encoded(SMALL, icc_profile=GREY_LINEAR)) == SMALL).all()
    assert (read(encoded(grey, icc_profile=b"no profile")) == plain).all()


def test_alpha_survives_a_profile():
    alpha = np.linspace(0, 255, SMALL[..., 0].size).astype(np.uint8).reshape(13, 10)
    data = encoded(np.dstack([SMALL, alpha]), icc_profile=DISPLAY_P3)
    colour = by_profile(image_module.fromarray(SMALL), DISPLAY_P3)
    weight = alpha[..., None] / 255
    assert np.abs(read(data) - (colour * weight + 255 * (1 - weight))).max() <= 0.51
    assert (read(data, alpha="drop") == colour).all()


def test_cmyk_with_and_without_a_profile():
    image = image_module.fromarray(SMALL).convert("CMYK")
    data = encoded(image, "JPEG", quality=95)
    stored = image_module.open(io.BytesIO(data))
    assert stored.mode == "CMYK" and (read(data) == np.asarray(stored.convert("RGB"))).all()
    # A profile of RGB cannot be that of CMYK values: it is as none.
    assert (read(encoded(image, "JPEG", quality=95, icc_profile=DISPLAY_P3)) == np.asarray(stored.convert("RGB"))).all()


def test_sixteen_bits_are_rounded():
    values = np.arange(0, 65536, 17, dtype=np.uint16)[: 62 * 62].reshape(62, 62)
    expected = np.repeat(np.floor(values / 257 + 0.5).astype(np.uint8)[..., None], 3, 2)
    for kind in ("PNG", "TIFF"):
        assert (read(encoded(values, kind)) == expected).all()
    with pytest.raises(ValueError, match="beyond 16 bits"):
        read(encoded(image_module.fromarray(values.astype(np.int32) - 1), "TIFF"))
    with pytest.raises(ValueError, match="no known range"):
        read(encoded(image_module.fromarray(values.astype(np.float32)), "TIFF"))


def test_sixteen_bit_colour():
    cv2 = pytest.importorskip("cv2")
    values = np.random.default_rng(2).integers(0, 65536, (9, 7, 3), dtype=np.uint16)
    data = cv2.imencode(".png", values[..., ::-1])[1].tobytes()
    assert np.abs(read(data).astype(float) - values / 257).max() <= 1.0  # Pillow keeps the upper byte


@pytest.mark.parametrize("paper", ("white", "black", "drop"))
def test_transparency_of_every_mode(paper):
    alpha = np.linspace(0, 255, 130).astype(np.uint8).reshape(13, 10)
    behind = {"white": 255, "black": 0}.get(paper)

    def expected(colour, alpha):
        weight = alpha[..., None] / 255
        return colour if behind is None else colour * weight + behind * (1 - weight)

    rgba, grey = np.dstack([SMALL, alpha]), SMALL[..., 0]
    for kind in ("PNG", "TIFF"):
        assert np.abs(read(encoded(rgba, kind), alpha=paper) - expected(SMALL, alpha)).max() <= 0.51
    la = image_module.merge("LA", [image_module.fromarray(grey), image_module.fromarray(alpha)])
    assert np.abs(read(encoded(la), alpha=paper) - expected(np.repeat(grey[..., None], 3, 2), alpha)).max() <= 0.51
    # A palette with an alpha for each entry, and one colour that is transparent.
    indices = np.arange(130, dtype=np.uint8).reshape(13, 10) % 4
    colours = np.array([[10, 200, 30], [250, 5, 99], [0, 0, 0], [77, 77, 200]], np.uint8)
    image = image_module.fromarray(indices, "L")
    image.putpalette(colours.tobytes())
    entries = np.array([0, 128, 255, 30], np.uint8)
    data = encoded(image, transparency=entries.tobytes())
    assert np.abs(read(data, alpha=paper) - expected(colours[indices], entries[indices])).max() <= 0.51
    flat = picture(3, 6, 6)
    flat[:3] = 9, 8, 7
    data = encoded(flat, transparency=(9, 8, 7))
    clear = np.where((flat == (9, 8, 7)).all(2), 0, 255).astype(np.uint8)
    assert (read(data, alpha=paper) == expected(flat, clear)).all()


def test_bilevel_palette_and_animation():
    bits = image_module.fromarray(np.array([[0, 255, 0], [255, 0, 255]], np.uint8)).convert("1")
    assert (read(encoded(bits))[..., 2] == [[0, 255, 0], [255, 0, 255]]).all()
    frames = [image_module.fromarray(picture(seed, 8, 8)).quantize(16) for seed in (1, 2, 3)]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert image_module.open(io.BytesIO(data)).n_frames == 3
    assert (read(data) == np.asarray(frames[0].convert("RGB"))).all()


@pytest.mark.parametrize("data, reason", [
    (b"", "the file is empty"),
    (b"no image at all, but a text", "no image that Pillow knows"),
    (encoded(SMALL, "JPEG")[:-200], "damaged: "),
    (encoded(picture(1, 99, 99))[:3000], "damaged: "),
    (encoded(SMALL)[:20], "no image that Pillow knows|damaged"),
])  # fmt: skip
def test_what_is_no_image_says_so(data, reason):
    with pytest.raises(ValueError, match=reason):
        read(data)


def test_a_bomb_is_refused_by_its_header():
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="1600000000 pixels"):
            read(png_header(40_000, 40_000))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with pytest.raises(ValueError, match="11000x10000 pixels are more than --max-pixels 100000000"):
                read(png_header(11_000, 10_000))
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()
    with pytest.raises(ValueError, match="10x13 pixels are more than --max-pixels 129"):
        read(encoded(SMALL), most_pixels=129)
    assert read(encoded(SMALL), most_pixels=130).shape == SMALL.shape


@pytest.mark.parametrize("kind", ("PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP", "PPM", "JPEG2000", "AVIF"))
def test_damage_of_any_kind_is_a_reason_and_no_crash(kind):
    """Bytes changed anywhere: an image or a sentence, never another exception."""
    try:
        rng, whole = np.random.default_rng(5), np.frombuffer(encoded(SMALL, kind), np.uint8)
    except (KeyError, OSError):
        pytest.skip(f"this Pillow has no {kind}")
    refused = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(150):
            data = whole.copy()
            data[rng.integers(0, min(len(data), 400), rng.integers(1, 6))] = rng.integers(0, 256)
            try:
                assert read(data[: rng.integers(1, len(data) + 1)].tobytes()).ndim == 3
            except ValueError as error:
                refused += 1
                assert str(error)
    assert refused
