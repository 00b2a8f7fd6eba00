"""FitNets: hints from inside the teacher. Romero et al. 2015, arXiv:1412.6550, equation 3."""

from torch import Tensor

from lookalike import _check
from lookalike.losses._teacher import prepare


def fitnet_loss(student_features: Tensor, teacher_features: Tensor) -> Tensor:
    """Half the squared distance of the student's features from the teacher's.

    Bringing the student's features to the teacher's shape is an adapter's work. One that ends in a
    ReLU cannot say what is negative.

    Args:
        student_features: (N, ...), N >= 1: what the adapter made of the student's; gets the
            gradient, (student - teacher) / N.
        teacher_features: (N, ...) of the same images; gets none.

    Returns:
        () mean over the N images of a sum over all else, >= 0. It grows with the size of the maps:
        a loss that is a mean over all elements of them is 2 / (C H W) of this one.

    Raises:
        ValueError: shapes differ, height and width included, or hold no row.

    Deviations: both of the paper's stages are the method's affair.
    """
    _check.same_shape(student_features=student_features, teacher_features=teacher_features)
    student, teacher = prepare(student_features, teacher_features)
    return (student - teacher).square().flatten(1).sum(1).mean() / 2
