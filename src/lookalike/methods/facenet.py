"""FaceNet. Schroff, Kalenichenko and Philbin 2015, arXiv:1503.03832, section 3."""

from lookalike.methods.metric import Metric, Preset


class FaceNet(Metric):
    """Every pair of alike images, each with a negative that is further away, yet within the margin.

    Deviations: AdamW in place of AdaGrad. Batches hold as many images of each class; the paper's,
    some 40 of a person and others at random, are `--sampling identities --images-per-class 40`.
    """

    preset = Preset(
        "triplet",
        {
            "margin": 0.2,
            "mining": "semi_hard",
            "distance": "squared_euclidean",
            "normalise": True,
        },
    )
