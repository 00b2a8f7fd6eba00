"""Distillation of similarities to anchors, without labels: CompRess and SEED.

Abbasi Koohpayegani et al. 2020 (CompRess), arXiv:2010.14713, section 3, is the default; with
`student_anchors` its form with two queues. Fang et al. 2021 (SEED), arXiv:2101.04731, section 3,
is `temperature` 0.2, `teacher_temperature` 1e-4, `pair` and `form` "cross_entropy".
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from lookalike import _check
from lookalike.losses._soft_targets import soft_targets
from lookalike.pairwise.similarity import row_logsumexp, unit_rows


def similarity_distillation_loss(
    student: Tensor,
    teacher: Tensor,
    anchors: Tensor,
    student_anchors: Tensor | None = None,
    *,
    temperature: float = 0.04,
    teacher_temperature: float = 0.04,
    pair: bool = False,
    form: Literal["kl", "cross_entropy"] = "kl",
) -> Tensor:
    """How unlike the teacher's the student's softmax over similarities to anchors is.

    P is the teacher's softmax over its cosines with the anchors, Q the student's over its own.
    Memory is O((B + K) D) and one tile; the arithmetic is that of `similarity`.

    Args:
        student: (B, D_S), B >= 1, any scale.
        teacher: (B, D_T), row i of the image of row i of `student`; gets no gradient.
        anchors: (K, D_T) rows of norm 1, K >= 1, taken as they are: a queue of teacher's embeddings
            of earlier images. No gradient.
        student_anchors: (K, D_S) rows of norm 1, row j of the image of row j of `anchors`, such as
            a queue that a slow copy of the student fills. No gradient. None: the student too is
            compared with the teacher's anchors, and D_S is D_T.
        temperature: > 0, of the student (CompRess: 0.04; SEED: 0.2).
        teacher_temperature: > 0 (CompRess: 0.04; SEED: 1e-4, which leaves almost only the nearest
            anchor).
        pair: let the teacher's embedding of the image itself be one more anchor, as SEED does.
        form: "kl" is KL(P, Q); "cross_entropy" is larger by the entropy of P. Their gradients are
            the same.

    Returns:
        () mean over the batch, in nats, >= 0, for "kl" but for rounding, which is that of a cosine
        over the temperature. A row of norm 0 has cosine 0 with every anchor.

    Raises:
        ValueError: shapes do not match; no row or anchor; a temperature <= 0; `pair` beside
            `student_anchors`; there is no such form.
    """
    _check.matrix(student=student, teacher=teacher)
    _check.same_rows(student=student, teacher=teacher)
    _check.same_width(teacher=teacher, anchors=anchors)
    _check.at_least(1, rows=len(student), anchors=len(anchors))
    _check.positive(temperature=temperature, teacher_temperature=teacher_temperature)
    _check.one_of(("kl", "cross_entropy"), form=form)
    if student_anchors is None:
        _check.same_width(student=student, anchors=anchors)
        student_anchors = anchors
    elif pair:
        raise ValueError("pair must be False with student_anchors, got True: one space is needed")
    _check.same_width(student=student, student_anchors=student_anchors)
    _check.same_rows(anchors=anchors, student_anchors=student_anchors)
    ours, theirs = unit_rows(student), unit_rows(teacher.detach())
    theirs = theirs.to(ours.dtype)
    anchors, values = (each.detach().to(ours.dtype) for each in (anchors, student_anchors))
    targets = soft_targets(theirs, anchors, values, scale=1 / teacher_temperature)
    logsumexp = row_logsumexp(ours, values, scale=1 / temperature)
    found = (ours * targets.means).sum(1) / temperature  # (B,) mean of the logits under P
    negative_entropy = targets.negative_entropy
    if pair:
        # The image itself is one more column, of logits `own`; P gives it `share`.
        own = (theirs * theirs).sum(1) / teacher_temperature
        ahead = own - targets.logsumexp
        share, rest = torch.sigmoid(ahead), torch.sigmoid(-ahead)
        negative_entropy = share * F.logsigmoid(ahead) + rest * (
            F.logsigmoid(-ahead) + negative_entropy
        )
        own = (ours * theirs).sum(1) / temperature
        found = share * own + rest * found
        logsumexp = torch.logaddexp(logsumexp, own)
    loss: Tensor = (logsumexp - found).mean()
    return loss + negative_entropy.mean() if form == "kl" else loss
