"""What every type of every bank is checked against, and how far it is off: `python tests/conformance.py` prints the table.

A type's op runs at the bank's five levels, and the largest deviation counts. The references are SciPy, scikit-image, OpenCV,
Pillow, kornia or formulas written out, in the modules `conformance_*` or in the tests of the ops; never the op's own code. JPEG
at the end of a type is left out: `test_banks_images` shows that it is Pillow's.
"""

from __future__ import annotations

import functools
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

import conformance_boxes as boxes
import conformance_bytes as eight_bit
import conformance_formulas as formulas
import conformance_laws as laws
import conformance_measures as measures
import conformance_psnr as gaps
import test_ops as general
import test_ops_blur as blurs
import test_ops_brightness as brightness
import test_ops_warp as warps
from conformance_bytes import by_bytes
from conformance_formulas import by_formula
from conformance_laws import by_noise
from conformance_psnr import by_gap, of_bytes
from conformance_types import Way, photo

from degrade import banks
from degrade.banks.base import Type
from degrade.banks.tid2013 import PSNR

warnings.filterwarnings("ignore", ".*negative Z")

SOURCES = {
    ("kadid10k", "fixed"): lambda: banks.kadid10k(),
    ("arniqa", "fixed"): lambda: banks.arniqa(),
    ("arniqa", "faithful"): lambda: banks.arniqa("faithful"),
    ("shamisa", "fixed"): lambda: banks.shamisa(),
    ("shamisa", "faithful"): lambda: banks.shamisa("faithful"),
    ("reiqa", "fixed"): lambda: banks.reiqa(),
    ("reiqa", "faithful"): lambda: banks.reiqa("faithful"),
    ("imagenet_c", "imagecorruptions"): lambda: banks.imagenet_c(),
    ("imagenet_c", "dataset"): lambda: banks.imagenet_c("dataset"),
    ("xdistortion", "fixed"): lambda: banks.xdistortion(),
    ("tid2013", "fixed"): lambda: banks.tid2013(),
}


@dataclass(frozen=True)
class Check:
    """One type of a bank against something else.

    kind      what is claimed, as in `Type.conformance`
    against   what it is checked against
    limit     the most that `measure` may give, in `unit`
    measure   the largest deviation over the five levels
    heavy     takes seconds
    """

    bank: str
    profile: str
    name: str
    kind: str
    note: str
    against: str
    limit: float
    unit: str
    measure: Callable[[], float]
    heavy: bool = False

    @property
    def id(self) -> str:
        return f"{self.bank}-{self.profile}-{self.name}"


MAKE = {
    "gaussian_blur": by_formula("SciPy's gaussian_filter of the same radius", 1e-6, formulas.gaussian_blur),
    "lens_blur": lambda t: by_formula(
        "SciPy's correlate with the areas of the pixels in the circle"
        if t.arguments.get("kernel", "exact") == "exact"
        else "SciPy's correlate with the faulty taps, written out",
        2e-6,
        formulas.lens_blur,
    )(t),
    "motion_blur": by_formula(
        "SciPy's correlate with fspecial's taps, written out", 2e-6, lambda x, p: formulas.correlated(x, general.motion_kernel(p["length"], p["angle"]))
    ),
    "directional_blur": by_formula("copies moved by whole pixels, as imagecorruptions adds them", 2e-6, formulas.directional_blur),
    "box_motion_blur": by_formula("SciPy's convolve with a line of ones", 2e-6, formulas.box_motion_blur),
    "defocus_blur": by_formula(
        "OpenCV's filter2D with the disk, smoothed by OpenCV; 11 pixels inside the border", 5e-6,
        formulas.channels_last(lambda x, p: cv2.filter2D(x, -1, blurs.aliased(p["radius"], round(p["smoothing"], 6)))), inner=11,
    ),
    "zoom_blur": by_gap("SciPy's zooms, of which the top left part is kept: the PSNR", 1.0, gaps.zooms(gaps.zoom_from_the_corner)),
    "lens_mask_blur": by_gap("SciPy's Gaussian under DepictQA's mask: the PSNR", 0.2, gaps.lens_mask_blur),
    "vignette": by_gap("DepictQA's mask: the PSNR", 0.2, lambda x, p, generator: x * gaps.lens_mask(*x.shape[1:], p["gamma"])),
    "colour_diffusion": by_formula("scikit-image's CIELAB and SciPy's gaussian_filter", 1e-4, formulas.channels_last(formulas.colour_diffusion)),
    "saturation_hsv": by_formula("scikit-image's HSV; kornia's for negative factors", 1e-5, formulas.saturation_hsv),
    "saturation_lab": by_formula("scikit-image's CIELAB", 1e-4, formulas.channels_last(formulas.saturation_lab)),
    "saturation_ycbcr": by_formula("kornia's YCbCr", 2e-5, formulas.saturation_ycbcr),
    "brighten": by_formula("the parabola, and scikit-image's CIELAB", 5e-6, formulas.brighten),
    "darken": by_formula("the parabola", 1e-6, lambda x, p: brightness.parabola(x, -p["amount"])),
    "mean_shift": lambda t: by_formula("scikit-image's HSV" if t.arguments.get("space") == "hsv" else "NumPy", 5e-6, formulas.mean_shift)(t),
    "gamma": lambda t: by_formula("NumPy's power on scikit-image's HSV" if t.arguments.get("space") == "hsv" else "NumPy's power", 5e-6, formulas.gamma)(t),
    "contrast_curve": by_formula("SciPy's spline through the five knots", 1e-6, formulas.contrast_curve),
    "contrast_squeeze": by_formula("NumPy's interp", 1e-6, lambda x, p: np.interp(x, [0, 1], [0.5 - p["half_width"], 0.5 + p["half_width"]])),
    "contrast": lambda t: (
        by_bytes("Pillow's ImageEnhance, which cuts fractions off", 1.0, eight_bit.pillow_contrast)
        if t.arguments.get("mean") == "grey"
        else by_formula("NumPy's mean of each channel", 1e-5, formulas.contrast)
    )(t),
    "contrast_sigmoid": by_formula("NumPy's power", 5e-5, formulas.contrast_sigmoid),
    "unsharp_mask": by_formula("scikit-image's CIELAB and SciPy's gaussian_filter", 1e-4, formulas.unsharp_mask),
    "pixelate": lambda t: (
        Way("Pillow's BOX, then NEAREST, off the edges of cells", 1.0, "grey levels", eight_bit.pixelate_by_boxes)
        if t.arguments.get("down") == "box"
        else by_formula("torch's interpolate, nearest and nearest-exact", 1e-6, formulas.pixelate)(t)
    ),
    "resize": lambda t: (
        Way("Pillow, off the edges of pixels", 0.0, "grey levels", eight_bit.nearest_resize)
        if t.arguments["filter"] == "nearest"
        else by_bytes("Pillow, which rounds to 8 bits four times", 2.0, eight_bit.pillow_resize, photo(97, 101))(t)
    ),
    "jpeg": by_bytes("Pillow's libjpeg-turbo", 0.0, eight_bit.pillow_jpeg, photo(97, 101)),
    "jpeg2000": by_gap("OpenJPEG through Pillow: the PSNR", 1.0, of_bytes(gaps.openjpeg)),
    "palette": by_gap("Pillow's Floyd-Steinberg diffusion of the same colours: the PSNR", 2.0, of_bytes(gaps.floyd_steinberg)),
    "otsu_quantization": lambda t: (
        by_gap("scikit-image's thresholds on 30 bins: the PSNR", 2.0, of_bytes(gaps.coarse_otsu), image=photo(128, 128), levels=(2, 3, 4, 5))
        if t.arguments.get("output") == "ramp"
        else by_bytes("the optimum by a dynamic programme", 0.0, eight_bit.otsu)
    )(t),
    "histogram_quantization": lambda t: (
        by_bytes("the published rule with NumPy's histogram", 0.0, eight_bit.equalised)
        if t.arguments.get("output") == "equalised"
        else by_gap("Pillow's median cut of each channel: the PSNR", 2.0, of_bytes(gaps.channel_median_cut))
    )(t),
    "uniform_quantization": by_bytes("NumPy's digitize, stretched", 0.0, eight_bit.uniform_bins),
    "gaussian_noise": by_noise("NumPy's normals: the deviation", laws.additive),
    "speckle_noise": by_noise("NumPy's normals times the image: the deviation", laws.multiplicative),
    "ycbcr_noise": lambda t: by_noise(
        f"NumPy's normals in {'kornia' if t.arguments.get('range') == 'full' else 'scikit-image'}'s YCbCr: the deviations of Y, Cb, Cr", laws.in_ycbcr,
        statistic=laws.ycbcr_deviations,
    )(t),
    "poisson_noise": lambda t: Way("SciPy's Poisson law: the deviation", 1.5, "% of the parameter", laws.poisson_error),
    "spatially_correlated_noise": by_noise("SciPy's box filter of NumPy's normals: the deviation", laws.box_of_noise),
    "impulse_noise": lambda t: Way("binomial counts: density, share of salt", 1.5, "%", laws.impulse_error, heavy=True),
    "denoise_residue": lambda t: (
        Way("the taps of both filters: the deviation", 1.5, "%", laws.residue_error, heavy=True)
        if t.conformance == "statistical"
        else Way("SciPy's Gaussian of gaussian_noise", 2e-6, "", measures.residue)
    ),
    "jitter": lambda t: Way(
        "NumPy's normals, read by Keys' kernel" if t.arguments.get("interpolation") != "bilinear" else "NumPy's normals, read by SciPy",
        1.5, "% of the parameter",
        lambda t: laws.warp_error(t, warps.read_linear if t.arguments.get("interpolation") == "bilinear" else warps.read_cubic), heavy=True,
    ),
    "non_eccentricity_patches": lambda t: (
        Way("a loop over the boxes", 0.0, "grey levels", boxes.patches_from_the_original)
        if t.arguments.get("source") == "original"
        else Way("uniform laws: number, places, shifts", 1.5, "%", boxes.patches_error)
    ),
    "colour_blocks": lambda t: Way("uniform laws: number, places, colours", 1.5, "%", boxes.blocks_error),
    "elastic_transform": lambda t: Way("the law of SciPy's filtered uniforms, less an affine map: the deviation", 1.5, "%", laws.elastic_error, heavy=True),
    "glass_blur": by_gap("the sequential scan on 48x48, 8 draws: the PSNR", 0.5, gaps.glass_blur, image=photo(48, 48), seeds=8),
    "pixel_scatter": by_gap(
        "the sequential scan on 48x48, 8 draws: the PSNR", 1.5, lambda x, p, g: gaps.scanned(x, p["distance"], 1, g), image=photo(48, 48), seeds=8
    ),
    "colour_shift": lambda t: Way(
        "NumPy's gradient and percentiles, SciPy's gaussian_filter; the best of all shifts of this length", 3e-3, "", measures.colour_shift
    ),
    "laplacian_sharpen": lambda t: Way("scikit-image's CIELAB and NumPy's gradients: values off by a grey level", 1.0, "%", measures.laplacian),
    "chromatic_aberration": by_formula("moved columns, and OpenCV's GaussianBlur", 5e-6, formulas.chromatic_aberration),
    "mean_blocks": lambda t: Way("a loop over the boxes", 1e-5, "", boxes.near_the_mean),
    "fog": by_gap("a diamond-square map, 24 draws: the PSNR", 1.5, gaps.fog, image=photo(64, 64), seeds=24),
    "frost": lambda t: Way("its formula, with the crystals of a black image", 1e-5, "", measures.frost),
    "snow": by_gap("SciPy's zoom and moved copies of NumPy's normals, 12 draws: the PSNR", 1.0, gaps.snow, image=photo(96, 96), seeds=12),
    "spatter": lambda t: Way("scikit-image's blur of NumPy's normals: the share that is covered", 25.0, "%", laws.spatter_share, heavy=True),
}  # fmt: skip

TARGET = "the target PSNR"


def noise_at_target(t):
    return Way(f"{TARGET}, on grey", 0.1, "dB", lambda t: measures.at_target(t, PSNR))


# Types that are measured in another way than others with their op.
SPECIAL = {
    ("tid2013", "additive_gaussian_noise"): noise_at_target,
    ("tid2013", "colour_noise"): noise_at_target,
    ("tid2013", "spatially_correlated_noise"): noise_at_target,
    ("tid2013", "high_frequency_noise"): noise_at_target,
    ("tid2013", "masked_noise"): lambda t: Way("SciPy's map of local variance: the PSNR", 0.1, "dB", measures.noise_by_activity),
    ("tid2013", "jpeg2000"): lambda t: Way(TARGET, 0.7, "dB", lambda t: measures.decoded(t, PSNR)),
    ("tid2013", "compression_of_noisy_image"): lambda t: Way(f"{TARGET} against the noisy image", 1.0, "dB", lambda t: measures.decoded(t, PSNR)),
    ("xdistortion", "oversharpen"): by_bytes("OpenCV's GaussianBlur and addWeighted, which round to 8 bits; 2 pixels inside the border", 8.0, eight_bit.oversharpen, inner=2),
    ("xdistortion", "brighten_shift_hsv"): by_gap("OpenCV's HSV, clipped after the way back: the PSNR", 1.0, gaps.unclipped_value),
    ("imagenet_c", "dataset", "zoom_blur"): by_gap("SciPy's zooms of the middle, cut at whole pixels: the PSNR", 0.5, gaps.zooms(blurs.clipped_zoom)),
    ("reiqa", "faithful", "gaussian_blur"): by_gap("Pillow's GaussianBlur: the PSNR", 0.5, of_bytes(gaps.pillow_blur)),
    ("reiqa", "jitter"): by_gap("warps by NumPy's normals through SciPy's cubic spline, 6 draws: the PSNR", 2.0, gaps.spline_jitter, image=photo(64, 64), seeds=6),
}  # fmt: skip


def way(bank: str, profile: str, t: Type) -> Way:
    if (bank, profile) == ("arniqa", "faithful") and t.name in measures.GOLDEN:
        return Way("the PSNR of the published functions on a known crop", 0.1, "dB", measures.golden)
    return (SPECIAL.get((bank, profile, t.name)) or SPECIAL.get((bank, t.name)) or MAKE[t.op.name])(t)


@functools.cache
def checks() -> tuple[Check, ...]:
    """One per bank, profile and type; equal types are measured once."""
    out, measured = [], {}
    for (bank, profile), make in SOURCES.items():
        for t in make().types.values():
            w = way(bank, profile, t)
            key = (
                w.against,
                t.op.name,
                *map(repr, (sorted(t.arguments.items()), t.before, t.after, t.variants)),
                t.name if w.measure is measures.golden else "",
            )
            run_once = measured.setdefault(key, functools.cache(functools.partial(w.measure, t)))
            against = w.against + (", before its JPEG" if profile == "dataset" else "")
            out.append(Check(bank, profile, t.name, t.conformance, t.note, against, w.limit, w.unit, run_once, w.heavy))
    return tuple(out)


def measured(check: Check) -> str:
    """The deviation and its limit, as the table shows them."""
    unit = f" {check.unit}" if check.unit else ""
    return f"{check.measure():.2g} / {check.limit:.2g}{unit}"


HEAD = "| bank | profile | type | conformance | checked against | largest deviation / limit | note |\n|---|---|---|---|---|---|---|"


def table() -> str:
    """The Markdown table."""
    return "\n".join([HEAD, *(f"| {c.bank} | {c.profile} | {c.name} | {c.kind} | {c.against} | {measured(c)} | {c.note} |" for c in checks())])


if __name__ == "__main__":
    print(table())
