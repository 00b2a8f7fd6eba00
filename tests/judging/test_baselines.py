"""An encoder's baselines are what they say, and each image is decoded once for all of them."""

import numpy as np
import pytest
import torch
from PIL import Image

from lookalike.backbones.build import build_backbone
from lookalike.data.quarantine import Quarantine
from lookalike.data.resident import load_squares
from lookalike.data.sources import open_source
from lookalike.errors import DataError
from lookalike.evaluation.hog import hog_with_colours
from lookalike.evaluation.pixels import raw_pixels
from lookalike.inference import Encoder
from lookalike.judging.baselines import LAYER, describe_images, list_ways

SIZE = 16


@pytest.fixture
def images(tmp_path):
    random = np.random.default_rng(0)
    for number in range(5):
        Image.fromarray(random.integers(0, 256, (20, 24, 3), dtype=np.uint8)).save(
            tmp_path / f"{number}.png"
        )
    (tmp_path / "2.png").write_bytes(b"cut off")
    return open_source(tmp_path)


def an_encoder() -> Encoder:
    backbone = build_backbone("small_conv", width=4)
    return Encoder(backbone, size=SIZE, name="small_conv", arguments={"width": 4})


def test_each_way_describes_the_images_that_can_be_read(images):
    encoder, quarantine = an_encoder(), Quarantine(len(images))
    ways = list_ways(encoder, seed=7, batch_size=3)
    kept, vectors = describe_images(
        images,
        ways=ways,
        stages=lambda squares: {"half": encoder.represent(squares)[:, :2]},
        size=SIZE,
        quarantine=quarantine,
    )
    squares = torch.from_numpy(load_squares(kept, SIZE)[0])
    assert kept.ids == ("0.png", "1.png", "3.png", "4.png")
    assert [each.id for each in quarantine] == ["2.png"]
    expected = {
        "encoder": encoder.represent(squares),
        "raw_pixels": raw_pixels(squares),
        "hog": hog_with_colours(squares),
        "untrained": encoder.restarted(seed=7).represent(squares),
        f"{LAYER}half": encoder.represent(squares)[:, :2],
    }
    assert list(vectors) == list(expected)
    for way, embedded in vectors.items():
        assert embedded.ids == kept.ids
        np.testing.assert_allclose(embedded.vectors, expected[way].numpy(), atol=1e-5)


def test_nothing_to_describe_is_said(images):
    with pytest.raises(DataError, match="none of the 1 images"):
        describe_images(images.select([2]), ways={}, size=SIZE, quarantine=Quarantine(1))
