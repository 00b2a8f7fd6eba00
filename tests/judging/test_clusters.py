"""Clusters of plain pictures, what stands in their files, and what chooses how they are found."""

import csv
import json

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import adjusted_mutual_info_score

from lookalike.backbones.build import build_backbone
from lookalike.data.sources import open_source
from lookalike.errors import DataError, UsageError
from lookalike.inference import Encoder
from lookalike.judging.clusters import copy_folders, find_clusters, write_csv

COLOURS = {"red": (220, 40, 40), "green": (40, 220, 40), "blue": (40, 40, 220)}
SIZES = {"red": 6, "green": 9, "blue": 7}


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    torch.manual_seed(0)
    arguments = {"width": 4}
    backbone = build_backbone("small_conv", **arguments)
    return Encoder(backbone, size=16, name="small_conv", arguments=arguments)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Pictures of three colours with a little noise, a folder each."""
    folder, random = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for name, colour in COLOURS.items():
        (folder / name).mkdir()
        for number in range(SIZES[name]):
            pixels = random.normal(colour, 8, (20, 20, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def unlabelled(photos, tmp_path_factory):
    folder = tmp_path_factory.mktemp("plain")
    for path in photos.rglob("*.png"):
        (folder / f"{path.parent.name}-{path.name}").write_bytes(path.read_bytes())
    return folder


def test_colours_are_told_apart_and_the_largest_is_first(encoder, photos):
    found = find_clusters(encoder, photos)
    assert [(each.class_name, len(each.positions)) for each in found.groups] == [
        ("green", 9),
        ("blue", 7),
        ("red", 6),
    ]
    assert {each.share for each in found.groups} == {1.0}
    assert found.groupings["encoder"].agreement.ami == 1
    assert list(found.groupings) == ["encoder", "raw_pixels", "hog", "untrained"]
    assert "k-means into 3 clusters, one a class" in found.reason


def test_scores_are_those_of_the_clusters(encoder, photos):
    found = find_clusters(encoder, photos, clusters=5)
    expected = adjusted_mutual_info_score(found.images.labels, found.members)
    assert found.groupings["encoder"].agreement.ami == pytest.approx(expected)
    assert {each.clusters for each in found.groupings.values()} == {5}


def test_the_first_of_a_cluster_is_its_medoid(encoder, photos):
    found = find_clusters(encoder, photos, clusters=2)
    rows = encoder.embed(open_source(photos)).vectors.astype(float)
    for group in found.groups:
        inside = rows[list(group.positions)]
        totals = (1 - inside @ inside.T).sum(axis=1)
        assert totals[0] == pytest.approx(totals.min(), abs=1e-5)
        centre = inside.mean(axis=0)
        expected = 1 - inside @ (centre / np.linalg.norm(centre))
        np.testing.assert_allclose(found.distances[list(group.positions)], expected, atol=1e-6)
        assert (np.diff(found.distances[list(group.positions)]) >= 0).all()


def test_without_labels_dense_groups_are_found_and_nothing_is_compared(encoder, unlabelled):
    found = find_clusters(encoder, unlabelled, smallest=4)
    assert found.method == "hdbscan"
    assert "nothing says how many" in found.reason
    assert list(found.groupings) == ["encoder"]
    assert found.groupings["encoder"].agreement is None
    assert len(found.groups) == 3
    assert not any("AMI" in line for line in found.lines())


def test_a_distance_joins_and_baselines_are_cut_into_as_many(encoder, photos):
    found = find_clusters(encoder, photos, distance=1e-6)
    assert found.method == "agglomerative"
    assert len({each.clusters for each in found.groupings.values()}) == 1
    assert found.groupings["encoder"].clusters > 3


def test_a_method_that_has_to_know_how_many_says_so(encoder, unlabelled, photos):
    for method in ("kmeans", "agglomerative"):
        with pytest.raises(UsageError, match=r"how many clusters.*\n.*--clusters N"):
            find_clusters(encoder, unlabelled, method=method)
        assert len(find_clusters(encoder, photos, method=method).groups) == 3


def test_images_in_no_cluster_are_listed_apart(encoder, photos, tmp_path):
    found = find_clusters(encoder, photos, method="hdbscan", smallest=8)
    alone = found.unclustered
    assert len(alone) == (found.members < 0).sum() > 0
    assert np.isnan(found.distances[list(alone)]).all()
    assert len(alone) + sum(len(each.positions) for each in found.groups) == len(found.images)
    assert any(line.startswith("in none") for line in found.lines())
    write_csv(found, tmp_path / "clusters.csv")
    rows = list(csv.DictReader((tmp_path / "clusters.csv").read_text().splitlines()))
    assert [row["cluster"] for row in rows].count("") == len(alone)


def test_the_file_lists_every_image_from_typical_to_not(encoder, photos, tmp_path):
    found = find_clusters(encoder, photos)
    write_csv(found, tmp_path / "clusters.csv")
    rows = list(csv.DictReader((tmp_path / "clusters.csv").read_text().splitlines()))
    assert sorted(row["path"] for row in rows) == sorted(found.images.ids)
    order = [(int(row["cluster"]), float(row["distance"])) for row in rows]
    assert order == sorted(order)
    assert all(row["label"] == row["path"].partition("/")[0] for row in rows)


def test_copies_go_to_a_folder_a_cluster_and_the_images_stay(encoder, photos, tmp_path):
    before = {path: path.read_bytes() for path in photos.rglob("*.png")}
    found = find_clusters(encoder, photos)
    copy_folders(found, tmp_path / "folders")
    assert {path: path.read_bytes() for path in photos.rglob("*.png")} == before
    copies = {path.name: len(list(path.iterdir())) for path in (tmp_path / "folders").iterdir()}
    assert copies == {"001": 9, "002": 7, "003": 6}
    for group in found.groups:
        first = sorted((tmp_path / f"folders/{group.number:03d}").iterdir())[0]
        assert first.read_bytes() == before[photos / found.images.ids[group.positions[0]]]
    with pytest.raises(UsageError, match="is not empty"):
        copy_folders(found, tmp_path / "folders")


def test_arrays_are_copied_as_pictures(encoder, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (6, 16, 16, 3), dtype=np.uint8)
    np.savez(tmp_path / "some.npz", images=pixels)
    found = find_clusters(encoder, tmp_path / "some.npz", clusters=2)
    copy_folders(found, tmp_path / "folders")
    shown = [np.asarray(Image.open(path)) for path in (tmp_path / "folders").rglob("*.png")]
    assert {each.tobytes() for each in shown} == {each.tobytes() for each in pixels}


def test_scripts_find_one_object(encoder, photos):
    told = json.loads(json.dumps(find_clusters(encoder, photos).to_json(), allow_nan=False))
    assert [each["images"] for each in told["clusters"]] == [9, 7, 6]
    assert [each["number"] for each in told["clusters"]] == [1, 2, 3]
    assert told["groupings"]["raw_pixels"]["agreement"]["nmi"] <= 1
    assert told["clusters"][0]["medoid"].startswith("green/")


def test_the_same_seed_gives_the_same_clusters_of_the_same_images(encoder, photos):
    first, again = (find_clusters(encoder, photos, limit=11, clusters=4, seed=5) for _ in range(2))
    assert first.images.ids == again.images.ids
    assert len(first.images.ids) == 11
    np.testing.assert_array_equal(first.members, again.members)
    assert find_clusters(encoder, photos, limit=11, seed=6).images.ids != first.images.ids


def test_unreadable_images_are_counted_and_too_many_are_an_error(encoder, photos, tmp_path):
    for path in photos.rglob("*.png"):
        (tmp_path / f"{path.parent.name}{path.name}").write_bytes(path.read_bytes())
    (tmp_path / "cut.png").write_bytes(b"cut off")
    with pytest.raises(DataError, match="1 of 23 images cannot be read"):
        find_clusters(encoder, tmp_path)
    found = find_clusters(encoder, tmp_path, max_unreadable=0.1, clusters=3)
    assert (found.unreadable, len(found.images)) == (1, 22)
    assert "1 could not be read" in found.lines()[-1]


@pytest.mark.parametrize(
    "options", [{"limit": 0}, {"clusters": 99}, {"clusters": 2, "distance": 1}]
)
def test_what_cannot_be_is_refused(encoder, photos, options):
    with pytest.raises(ValueError, match=r"limit|clusters"):
        find_clusters(encoder, photos, **options)


def test_bad_options_are_refused_before_an_image_is_read(encoder, photos):
    read = []
    with pytest.raises(ValueError, match="distance must be"):
        find_clusters(encoder, photos, distance=5, progress=lambda *done: read.append(done))
    assert not read
    with pytest.raises(UsageError, match="needs a source by name"):
        find_clusters(encoder, open_source(photos), split="test")
