"""NCA: Neighbourhood Components Analysis (NeurIPS 2004)."""

from __future__ import annotations

from lookalike.papers.claims import Arm, Claim, Comparison


def _arm(name: str, method: str) -> Arm:
    return Arm(
        name=name,
        settings={"method": method},
        experiment="lookalike.papers.projections:neighbour_accuracy",
    )


CLAIMS = (
    Claim(
        name="projection",
        says="its projection to two dimensions is better for nearest neighbours than that of PCA",
        where="section 4, figures 1 and 2",
        arms=(_arm("NCA", "nca"), _arm("PCA", "pca"), _arm("LDA", "lda")),
        comparisons=(Comparison(better="NCA", worse="PCA", margin=0.05),),
        settings={"dim": 2},
        note="accuracy of one nearest neighbour on the half of scikit-learn's digits that nothing "
        "was fitted on; LDA is shown beside them",
    ),
)
