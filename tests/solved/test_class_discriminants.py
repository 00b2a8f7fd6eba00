"""With labels: the covariance within classes, and scikit-learn's discriminant analysis."""

import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from lookalike.solved.class_discriminants import ClassDiscriminants
from lookalike.solved.view_discriminants import discriminants

SMALL = {"filters": 6, "patches": (4,), "patch_count": 2000}


def test_within_is_the_pooled_covariance_of_the_classes(few):
    method = ClassDiscriminants(**SMALL)
    network = method.features.solve(few).backbone
    with torch.no_grad():
        rows = network(few.pictures).double()
    centred = rows.clone()
    for label in range(4):
        centred[few.labels == label] -= rows[few.labels == label].mean(dim=0)
    assert torch.allclose(method.within(few, network), centred.T @ centred / 40, atol=1e-6)


def test_images_without_a_label_do_not_count(few):
    method = ClassDiscriminants(**SMALL)
    network = method.features.solve(few).backbone
    known = torch.arange(40) < 30
    few.labels = torch.where(known, few.labels, -1)
    with_unknown = method.within(few, network)
    few.pictures, few.labels, few.count = few.pictures[:30], few.labels[:30], 30
    assert torch.allclose(with_unknown, method.within(few, network), atol=1e-9)


def test_the_subspace_is_that_of_linear_discriminant_analysis():
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(300) % 4
    means = 2 * torch.randn(4, 6, generator=generator).double()
    rows = means[labels] + torch.randn(300, 6, generator=generator).double()
    centred = rows - rows.mean(dim=0)
    inside = rows.clone()
    for label in range(4):
        inside[labels == label] -= rows[labels == label].mean(dim=0)
    ours = discriminants(
        centred.T @ centred / 300, inside.T @ inside / 300, dim=3, power=0.0, ridge=1e-12
    )
    theirs = LinearDiscriminantAnalysis(solver="eigen", n_components=3).fit(rows, labels)
    theirs = torch.from_numpy(theirs.scalings_[:, :3])
    a, b = (torch.linalg.qr(each)[0] for each in (ours, theirs))
    assert torch.linalg.svdvals(a.T @ b).min() > 1 - 1e-9
