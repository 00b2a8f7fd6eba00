"""Knowledge distillation (KD). Hinton et al. 2015, arXiv:1503.02531, section 2."""

from torch import Tensor

from lookalike import _check
from lookalike.losses._teacher import prepare, standardised


def kd_loss(
    student_logits: Tensor,
    teacher_logits: Tensor,
    *,
    temperature: float = 4.0,
    standardise: bool = False,
    stop_gradient: bool = True,
) -> Tensor:
    """How far the student's softened classes are from the teacher's: T^2 KL(teacher || student).

    The gradient of a student's logits is T (q_S - q_T) / N, q the softmax of logits / T: that of
    soft-label cross entropy. T^2 keeps its size while T grows; for large T the loss is 1 / (2 C)
    times the squared distance of the two logits, each less its mean over the classes.

    Args:
        student_logits: (N, C), N >= 1; gets the gradient.
        teacher_logits: (N, C) of the same images; gets none unless told otherwise.
        temperature: T > 0; higher makes more of the classes that are unlikely.
        standardise: whether each row of logits is first taken to mean 0 and variance 1 over the
            classes (arXiv:2403.01427; there with T = 2 and ten times the weight). The loss is then
            0 where the student's are the teacher's times a number above 0 plus another.
        stop_gradient: whether the teacher's side is a constant. False where it learns, too; its
            gradient of an image's logits is then T p (log p - log q - KL(p || q)) / N.

    Returns:
        () mean over the N images, in T^2 nats, >= 0 up to rounding: 0 where the logits differ by
        one number a row. With T = 1 and a teacher that is sure it is the cross entropy.

    Raises:
        ValueError: shapes differ, are not 2-D or hold no row; temperature <= 0; there is one class,
            which has no variance to standardise.

    Deviations: the term of the labels, and the weights of both, are the method's affair.
    """
    _check.same_matrix(student_logits=student_logits, teacher_logits=teacher_logits)
    _check.positive(temperature=temperature)
    student, teacher = prepare(student_logits, teacher_logits, stop_gradient=stop_gradient)
    if standardise:
        _check.at_least(2, classes=student.shape[1])
        student, teacher = standardised(student), standardised(teacher)
    log_q, log_p = ((each / temperature).log_softmax(1) for each in (student, teacher))  # (N, C)
    loss: Tensor = temperature**2 * (log_p.exp() * (log_p - log_q)).sum(1).mean()
    return loss
