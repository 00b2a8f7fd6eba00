"""Discriminants in closed form: eigenvectors, and the theorem that they are VICReg's."""

import pytest
import torch

from lookalike.errors import DataError
from lookalike.solved.view_discriminants import ViewDiscriminants, discriminants, feature_scale

SMALL = {"filters": 6, "patches": (4,), "patch_count": 2000, "dim": 5}


def covariance(dim, seed):
    factor = torch.randn(dim, 2 * dim, generator=torch.Generator().manual_seed(seed)).double()
    return factor @ factor.T / (2 * dim)


def test_they_are_generalised_eigenvectors():
    total, within = covariance(6, 0), covariance(6, 1)
    ridge = 0.3
    regular = within + ridge * within.diagonal().mean() * torch.eye(6).double()
    found = discriminants(total, within, dim=6, power=0.0, ridge=ridge)
    assert torch.allclose(found.T @ regular @ found, torch.eye(6).double(), atol=1e-9)
    values = (found.T @ total @ found).diagonal()
    assert torch.allclose(total @ found, regular @ found * values, atol=1e-8)
    assert torch.equal(values, values.sort(descending=True).values)


def test_at_power_one_half_every_direction_varies_alike():
    total = covariance(6, 0)
    found = discriminants(total, covariance(6, 1), dim=4, power=0.5, ridge=0.1)
    assert torch.allclose(found.T @ total @ found, torch.eye(4).double(), atol=1e-9)


def test_where_views_vary_like_white_noise_they_are_principal_components():
    total = covariance(6, 0)
    found = discriminants(total, torch.eye(6).double(), dim=3, power=0.0, ridge=0.5)
    components = torch.linalg.eigh(total)[1].flip(1)[:, :3]
    cosines = (torch.nn.functional.normalize(found, dim=0).T @ components).abs()
    assert torch.allclose(cosines, torch.eye(3).double(), atol=1e-9)


def test_features_in_other_units_give_the_same_subspace_without_a_ridge():
    total, within = covariance(5, 0), covariance(5, 1)
    change = torch.diag(torch.tensor([1.0, 10.0, 0.1, 3.0, 0.5]).double())
    plain = discriminants(total, within, dim=2, power=0.0, ridge=1e-12)
    changed = discriminants(
        change @ total @ change, change @ within @ change, dim=2, power=0.0, ridge=1e-12
    )
    assert torch.allclose((change @ changed).abs(), plain.abs(), atol=1e-6)


def test_a_direction_in_which_views_differ_is_left_to_the_last():
    total = torch.eye(4).double()
    within = torch.diag(torch.tensor([1.0, 0.01, 0.01, 0.01]).double())
    found = discriminants(total, within, dim=3, power=0.0, ridge=1e-3)
    assert found[0].abs().max() < 1e-9


def test_a_linear_vicreg_descends_to_the_subspace_of_the_closed_form():
    """Balestriero & LeCun 2022, section 3: views pull together, variance and covariance push apart.

    The loss tr(V' W V) + l |V' T V - I|^2 is that of a linear encoder whose invariance term is W
    and whose variance and covariance terms ask for the identity. Descended by gradients, its
    subspace is that of the discriminants: the principal angles between both are 0.
    """
    dim, kept = 8, 3
    total, within = covariance(dim, 0), covariance(dim, 1)
    v = torch.randn(dim, kept, generator=torch.Generator().manual_seed(4)).double()
    v.requires_grad_()
    descent = torch.optim.LBFGS([v], max_iter=2000, tolerance_grad=1e-12, tolerance_change=1e-16)

    def loss():
        descent.zero_grad()
        apart = (v.T @ total @ v - torch.eye(kept)).square().sum()
        value = (v.T @ within @ v).trace() + 5 * apart
        value.backward()
        return value

    for _ in range(5):
        descent.step(loss)
    v = v.detach()
    found = discriminants(total, within, dim=kept, power=0.0, ridge=1e-12)
    a, b = (torch.linalg.qr(each)[0] for each in (v, found))
    assert torch.linalg.svdvals(a.T @ b).min() > 1 - 1e-6


def test_a_feature_that_never_changes_counts_nothing():
    rows = torch.randn(50, 3).double()
    rows[:, 1] = 7.0
    total = {
        "count": torch.tensor(50.0).double(),
        "sum": rows.sum(dim=0),
        "outer": rows.T @ rows,
    }
    scale = feature_scale(total)
    assert scale[1] == 0
    deviation = rows.std(dim=0, unbiased=False)
    assert torch.allclose(scale[[0, 2]], 1 / deviation[[0, 2]])


def test_images_that_all_look_alike_are_refused_in_a_line(few):
    few.pictures = few.pictures[:1].expand(40, -1, -1, -1)
    with pytest.raises(DataError, match="look the same"):
        ViewDiscriminants(**SMALL).solve(few)


def test_the_encoder_is_centred_and_as_wide_as_was_asked(few):
    found = ViewDiscriminants(**SMALL).solve(few)
    vectors = found.backbone(few.pictures)
    assert vectors.shape == (40, 5)
    assert vectors.mean(dim=0).abs().max() < 1e-3 * vectors.std()


def test_it_is_never_wider_than_images_can_tell(few):
    few.pictures, few.labels, few.count = few.pictures[:3], few.labels[:3], 3
    found = ViewDiscriminants(**{**SMALL, "dim": 50}).solve(few)
    assert found.backbone.dim == 2


def test_blocks_of_two_processes_add_up_to_one(few):
    """Each process's sums, added, are the sums of all: nothing else passes between them."""
    import copy

    whole = ViewDiscriminants(**SMALL)
    network = whole.features.solve(few).backbone
    alone = whole.within(few, network)
    sums = []

    class Apart:
        def total(self, tensor):
            sums.append(tensor.clone())
            return tensor

    for rank in range(2):
        share = copy.copy(few)
        share.rank, share.world = rank, 2
        share.total = Apart().total
        whole.within(share, network)
    both = sums[0] + sums[1]
    assert torch.allclose(both[0] / (2 * both[1, 0, 0]), alone, rtol=1e-12)


@pytest.mark.parametrize("arguments", [{"dim": 0}, {"power": 0.6}, {"ridge": 0.0}])
def test_what_cannot_be_is_refused(arguments):
    with pytest.raises(ValueError, match="must be"):
        ViewDiscriminants(**arguments)
