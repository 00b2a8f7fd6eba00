"""A compiled network sees batches of one size alone, and says the same of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lookalike.errors import LookalikeError
from lookalike.neighbors.compiling import compile_encoder
from lookalike.neighbors.embedding import embed_source


@pytest.fixture
def shapes(monkeypatch) -> list[tuple[int, ...]]:
    """Return what shapes a network was compiled for; the compiler itself is left out."""
    seen = []

    def compiler(network, **settings):
        assert settings == {"dynamic": False, "options": {"freezing": True}}

        def run(pictures):
            assert pictures.is_contiguous(memory_format=torch.channels_last)
            seen.append(tuple(pictures.shape))
            return network(pictures)

        return run

    monkeypatch.setattr(torch, "compile", compiler)
    return seen


def test_all_batches_have_one_size_and_the_same_vectors(encoder, shapes):
    squares = torch.randint(0, 256, (11, 3, 16, 16), dtype=torch.uint8)
    fast = compile_encoder(encoder, batch_size=4)
    wanted = encoder.represent(squares, batch_size=4)
    torch.testing.assert_close(fast.represent(squares, batch_size=4), wanted)
    assert shapes == [(4, 3, 16, 16)] * 3
    assert fast.fingerprint() == encoder.fingerprint()
    assert encoder.compiled is None, "the encoder that was given is as it was"


def test_a_source_is_embedded_with_it(encoder, photos, tmp_path, shapes):
    settings = {"max_unreadable": 0.1, "dtype": "float32", "batch_size": 8}
    fast = embed_source(encoder, photos, out=tmp_path / "a", compile=True, **settings)
    slow = embed_source(encoder, photos, out=tmp_path / "b", **settings)
    assert set(shapes) == {(8, 3, 16, 16)}
    np.testing.assert_allclose(fast.collection.vectors, slow.collection.vectors, atol=1e-6)


def test_what_cannot_be_compiled_is_told(encoder, monkeypatch):
    def broken(network, **settings):
        def run(pictures):
            raise RuntimeError("no C++ compiler\nand much more")

        return run

    monkeypatch.setattr(torch, "compile", broken)
    squares = torch.zeros(2, 3, 16, 16, dtype=torch.uint8)
    fast = compile_encoder(encoder, batch_size=2)
    with pytest.raises(LookalikeError, match=r"compiled here: no C\+\+ compiler\n.*--compile"):
        fast.represent(squares)
