"""Exemplar-CNN. Dosovitskiy et al. 2014, arXiv:1406.6909, section 3, equations 1-2."""

from collections.abc import Mapping

from torch import nn
from torch.nn import functional as F

from lookalike import _check
from lookalike.backbones.base import Backbone
from lookalike.methods.base import Batch, Method, Recipe, Step
from lookalike.views.plans import EXEMPLAR


class Exemplar(Method):
    """Every image is a class of its own, and its changed copies are that class's pictures.

    The softmax has a row an image, so it grows with the images, and look-alikes among them ask the
    network to tell apart what is the same. The paper is best with about 8,000; `--limit 8000`
    trains on so many.

    Deviations: copies are made anew in every epoch, where the paper makes 150 beforehand; the
    learning rate follows a cosine, where the paper divides it by 3 by hand. For small images, which
    patches are, it is ten times the paper's: at 0.01 a run of minutes stays at log(image_count).

    Args:
        image_count: images to train on, which are the classes, >= 1; training fills it in.
    """

    views = small_views = EXEMPLAR
    recipe = Recipe("sgd", lr=0.01, scaling="none")
    small_recipe = recipe._replace(lr=0.1)
    default_backbone = "exemplar_small"
    seed_patches = True

    def __init__(self, backbone: Backbone, *, image_count: int) -> None:
        super().__init__(backbone)
        _check.at_least(1, image_count=image_count)
        self.classifier = nn.Linear(backbone.dim, image_count)
        nn.init.normal_(self.classifier.weight, std=0.01)  # all classes start about alike
        nn.init.zeros_(self.classifier.bias)

    @classmethod
    def fit(cls, images: int, classes: int) -> Mapping[str, tuple[object, str]]:
        """Return one class an image."""
        return {"image_count": (images, "every image is a class")}

    def forward(self, batch: Batch) -> Step:
        """Return the cross entropy of which image each view is of; log(image_count) at first."""
        losses = [
            F.cross_entropy(self.classifier(self.backbone(view)).float(), batch.index)
            for view in batch.views
        ]
        return Step(sum(losses[1:], losses[0]) / len(losses))
