"""gallery.npz: plain arrays, row by row of the same images."""

import numpy as np
import pytest
import torch
from PIL import Image

from lookalike.backbones.build import build_backbone
from lookalike.data.sources import open_source
from lookalike.inference import Encoder
from lookalike.judging.gallery import make_gallery

SMALL = {"width": 4}


@pytest.fixture
def images(tmp_path):
    """Six flat grey pictures of two classes, each of its own shade, and one that is none."""
    for number in range(6):
        folder = tmp_path / "images" / "ab"[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 30), (40 + 40 * number,) * 3).save(folder / f"{number}.png")
    (folder / "broken.png").write_bytes(b"?")
    return open_source(tmp_path / "images")


def an_encoder() -> Encoder:
    torch.manual_seed(0)
    return Encoder(build_backbone("small_conv", **SMALL), size=16, name="small_conv")


def test_rows_belong_to_one_image(tmp_path, images):
    path = tmp_path / "gallery.npz"
    make_gallery(an_encoder(), images, path=path)
    with np.load(path, allow_pickle=False) as gallery:
        assert gallery["thumbs"].shape == (6, 64, 64, 3)
        assert gallery["thumbs"].dtype == np.uint8
        assert gallery["vectors"].dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(gallery["vectors"], axis=1), 1, rtol=1e-5)
        names = gallery["class_names"]
        for row, name in enumerate(gallery["ids"]):
            assert name.startswith(names[gallery["labels"][row]])
            shade = 40 + 40 * int(name[2])
            assert (gallery["thumbs"][row] == shade).all()
            flat = np.full((30, 20, 3), shade, dtype=np.uint8)
            np.testing.assert_allclose(
                gallery["vectors"][row], an_encoder().encode(flat)[0], atol=1e-5
            )


def test_a_limit_draws_by_the_seed(tmp_path, images):
    drawn = []
    for seed in (0, 0, 1, 2, 3):
        make_gallery(an_encoder(), images, path=tmp_path / "g.npz", limit=3, seed=seed)
        with np.load(tmp_path / "g.npz") as gallery:
            drawn.append(tuple(gallery["ids"]))
    assert drawn[0] == drawn[1]
    assert len(set(drawn)) > 1
    assert all(len(ids) in {2, 3} for ids in drawn)  # the broken one may be drawn


def test_nothing_to_draw_is_refused(tmp_path, images):
    with pytest.raises(ValueError, match="limit"):
        make_gallery(an_encoder(), images, path=tmp_path / "g.npz", limit=0)
