"""Photographs that Debian and PyPI packages ship, as training and held-out folders: `python -m examples.slide.photographs DEBS --out photos`.

DEBS is a folder in which packages were unpacked:

    apt-get download lomiri-wallpapers-16.04 lomiri-wallpapers-20.04 mate-backgrounds plasma-workspace-wallpapers
    for deb in *.deb; do dpkg -x "$deb" DEBS; done

Drawings and rendered pictures of these packages are left out. Every photograph is reduced to a short side of 512 pixels, since at full size a crop
shows little, and stored as PNG. A third of Debian's photographs and all of scikit-image's and scikit-learn's are held out; of each of those three
crops, from its left, middle and right, are what is measured.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import typer
from PIL import Image
from tqdm import tqdm

SHORT_SIDE = 512
LOMIRI, MATE, PLASMA = "usr/share/backgrounds", "usr/share/backgrounds/mate/nature", "usr/share/wallpapers"
FILES = (
    *(
        f"{LOMIRI}/{name}.jpg"
        for name in (
            "Bridge_by_Sander_Klootwijk", "Dragonfly_by_Bolly", "Kleiber_by_Lukas_Baubkus", "Picture_0B_by_freespace", "Picture_1A_by_freespace",
            "Wine_by_Jakkub_Mede", "aitzgorri_by_Aitzol_Berasategi", "free_by_Peter_Nerlich", "friends_by_Aitzol_Berasategi",
            "greentock_by_Peter_Nerlich", "life_by_Aitzol_Berasategi", "picosdeeuropa_by_Aitzol_Berasategi", "seeding_by_Clements_Engelhardt",
            "sunset_by_Aitzol_Berasategi",
        )
    ),
    *(
        f"{MATE}/{name}.jpg"
        for name in (
            "Aqua", "Blinds", "Dune", "FreshFlower", "Garden", "GreenMeadow", "LadyBird", "RainDrops", "Storm", "TwoWings", "Wood", "YellowFlower",
        )
    ),
    *(
        f"{PLASMA}/{name}/contents/images/2560x1600.jpg"
        for name in (
            "BytheWater", "ColdRipple", "ColorfulCups", "DarkestHour", "EveningGlow", "FallenLeaf", "Grey", "Kite", "OneStandsOut", "Path",
            "summer_1am",
        )
    ),
)  # fmt: skip
SKIMAGE = ("astronaut", "chelsea", "coffee", "rocket", "retina", "immunohistochemistry", "hubble_deep_field")


def debian(root: Path) -> Iterator[tuple[str, Image.Image]]:
    for file in FILES:
        if not (root / file).is_file():
            raise FileNotFoundError(f"{root / file} is not there: unpack the packages that this file's head names into {str(root)!r}.")
        name = file.removeprefix(f"{PLASMA}/").split("/")[0] if file.startswith(PLASMA) else Path(file).stem
        yield name, Image.open(root / file).convert("RGB")


def held_out() -> Iterator[tuple[str, Image.Image]]:
    import skimage.data
    from sklearn.datasets import load_sample_image

    for name in SKIMAGE:
        yield name, Image.fromarray(getattr(skimage.data, name)())
    for name in ("china", "flower"):
        yield name, Image.fromarray(load_sample_image(f"{name}.jpg"))


def reduced(image: Image.Image) -> Image.Image:
    factor = SHORT_SIDE / min(image.size)
    return image if factor >= 1 else image.resize((round(image.width * factor), round(image.height * factor)), Image.Resampling.LANCZOS)


def crops(image: Image.Image, size: int) -> Iterator[Image.Image]:
    top = (image.height - size) // 2
    for left in np.linspace(0, image.width - size, 5).round().astype(int).tolist()[::2]:
        yield image.crop((left, top, left + size, top + size))


def main(debs: Path, out: Path = typer.Option(...), size: int = typer.Option(96, help="Side of the held-out crops, in pixels.")) -> None:
    """Write out/train and out/held_out."""
    train, held = out / "train", out / "held_out"
    for folder in (train, held):
        folder.mkdir(parents=True, exist_ok=True)
    for i, (name, image) in enumerate(tqdm(debian(debs), total=len(FILES))):
        if i % 3 == 1:
            write(held, name, image, size)
        else:
            reduced(image).save(train / f"{name}.png")
    for name, image in held_out():
        write(held, name, image, size)


def write(folder: Path, name: str, image: Image.Image, size: int) -> None:
    for i, crop in enumerate(crops(reduced(image), size)):
        crop.save(folder / f"{name}-{i}.png")


if __name__ == "__main__":
    typer.run(main)
