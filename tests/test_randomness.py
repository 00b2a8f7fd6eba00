import pytest
import torch

from lookalike.randomness import uniforms

WORD = (1 << 64) - 1


def mix(word: int) -> int:
    """splitmix64's finaliser in Python's own integers."""
    word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & WORD
    word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & WORD
    return word ^ (word >> 31)


def expected(count: int, *words: int) -> list[float]:
    golden, key = 0x9E3779B97F4A7C15, 0
    for word in words:
        key = mix((key + word + golden) & WORD)
    return [(mix((key + step * golden) & WORD) >> 40) / 2**24 for step in range(1, count + 1)]


def draw(count: int, *, seed: int = 0, epoch: int = 0, first: int = 0, images: int = 1, stream=0):
    index = torch.arange(first, first + images)
    return uniforms(count, seed=seed, epoch=epoch, index=index, stream=stream)


@pytest.mark.parametrize("seed", [0, 1, 2**63 - 1])
@pytest.mark.parametrize("index", [0, 7, 2**40])
def test_is_splitmix64_of_the_four_words(seed, index):
    drawn = uniforms(5, seed=seed, epoch=3, index=torch.tensor([index]), stream=2)
    assert drawn.tolist() == [expected(5, seed, 3, 2, index)]


def test_splitmix64_matches_its_published_first_outputs():
    """Seed 1234567, from the reference implementation's well-known test vector."""
    golden = 0x9E3779B97F4A7C15
    outputs = [mix((1234567 + step * golden) & WORD) for step in (1, 2, 3)]
    assert outputs == [6457827717110365317, 3203168211198807973, 9817491932198370423]


def test_an_image_draws_the_same_in_any_batch():
    index = torch.randperm(300, generator=torch.Generator().manual_seed(0))
    together = uniforms(9, seed=4, epoch=2, index=index, stream=1)
    for part in (index[:1], index[17:90], index[200:]):
        alone = uniforms(9, seed=4, epoch=2, index=part, stream=1)
        rows = [index.tolist().index(image) for image in part.tolist()]
        assert torch.equal(alone, together[rows])


def test_more_numbers_begin_with_the_fewer():
    assert torch.equal(draw(30, images=8)[:, :11], draw(11, images=8))


def test_values_are_multiples_of_two_to_the_minus_24_below_one():
    drawn = draw(1000, images=100)
    assert drawn.dtype == torch.float32
    assert drawn.min() >= 0
    assert drawn.max() < 1
    assert torch.equal((drawn * 2**24).round() / 2**24, drawn)


@pytest.mark.parametrize(
    "sample",
    [
        draw(100_000)[0],
        draw(1, images=100_000)[:, 0],
        torch.cat([draw(1, epoch=epoch)[0] for epoch in range(2_000)]),
        torch.cat([draw(1, seed=seed)[0] for seed in range(2_000)]),
        torch.cat([draw(1, stream=stream)[0] for stream in range(2_000)]),
    ],
    ids=["steps", "images", "epochs", "seeds", "streams"],
)
def test_uniform_along_every_way_of_counting(sample):
    """Chi-square over 64 cells: 63 on average, standard deviation 11.2."""
    counts = torch.histc(sample.double(), bins=64, min=0, max=1)
    wanted = len(sample) / 64
    chi_square = ((counts - wanted).square() / wanted).sum()
    assert 63 - 5 * 11.2 < chi_square < 63 + 5 * 11.2


@pytest.mark.parametrize("neighbour", [{"first": 1}, {"epoch": 1}, {"seed": 1}, {"stream": 1}])
def test_neighbours_are_independent(neighbour):
    """Counts of pairs over 16 x 16 cells: chi-square 255 on average, standard deviation 22.6."""
    one, other = draw(4, images=20_000).flatten(), draw(4, images=20_000, **neighbour).flatten()
    cells = (one * 16).long() * 16 + (other * 16).long()
    wanted = len(cells) / 256
    chi_square = ((torch.bincount(cells, minlength=256) - wanted).square() / wanted).sum()
    assert 255 - 5 * 22.6 < chi_square < 255 + 5 * 22.6


@pytest.mark.parametrize("index", [torch.zeros(2, 2, dtype=torch.int64), torch.zeros(3)])
def test_refuses_an_index_that_is_no_row_of_integers(index):
    with pytest.raises(ValueError, match="index must be"):
        uniforms(1, seed=0, epoch=0, index=index, stream=0)
