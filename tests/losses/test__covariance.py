import pytest
import torch

from lookalike.losses._covariance import squared_products


@pytest.mark.parametrize("shape", [(5, 9), (9, 5), (6, 6), (1, 4)])
def test_it_is_the_squared_frobenius_norm_of_the_product_whichever_way_it_is_made(shape):
    first, second = torch.randn(2, *shape, dtype=torch.float64).requires_grad_().unbind()
    got, want = squared_products(first, second), (first.T @ second).square().sum()
    torch.testing.assert_close(got, want, rtol=1e-13, atol=1e-13)
    for each in (first, second):
        ours, theirs = (
            torch.autograd.grad(value, each, retain_graph=True)[0] for value in (got, want)
        )
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


def test_autocast_does_not_round_it():
    first = torch.randn(8, 40)
    with torch.autocast("cpu", torch.bfloat16):
        got = squared_products(first, first)
    torch.testing.assert_close(got, squared_products(first, first), rtol=0, atol=0)
