"""DrLIM: Dimensionality Reduction by Learning an Invariant Mapping (CVPR 2006)."""

from __future__ import annotations

from lookalike.papers.claims import Arm, Claim, Comparison

SPRINGS = "lookalike.papers.springs:"
DIGITS = "lookalike.papers.shifted_digits:"

CLAIMS = (
    Claim(
        name="springs",
        says="the loss is the energy of springs: of three points of which A is like B and C, and "
        "B is not like C, descent leaves A half-way between both, a third of the margin from each",
        where="section 2.2 and figure 2",
        arms=(
            Arm(
                name="at the start",
                settings={"steps": 0, "rate": 0.1},
                experiment=SPRINGS + "imbalance",
            ),
            Arm(
                name="at rest",
                settings={"steps": 2000, "rate": 0.1},
                experiment=SPRINGS + "imbalance",
            ),
            Arm(
                name="tolerance",
                settings={"share": 1e-3},
                experiment=SPRINGS + "tolerance",
            ),
        ),
        comparisons=(
            Comparison(better="tolerance", worse="at rest"),
            Comparison(better="at the start", worse="tolerance"),
        ),
        settings={"margin": 1.25},
        unit="of the margin",
        note="the largest error of the three distances and of the energy, m^2 / 6; the paper draws "
        "the springs and solves none",
    ),
    Claim(
        name="shifts",
        says="a map to the plane that is told which digits are shifts of each other leaves shifts "
        "out, also of digits that it has not seen; told of pixels alone it does not, nor do PCA "
        "and LLE",
        where="section 3.2.2 and figures 6 to 8",
        arms=(
            Arm(
                name="DrLIM, shifts known",
                settings={"learner": "drlim", "alike": "shifts"},
                experiment=DIGITS + "shift_error",
            ),
            Arm(
                name="DrLIM, pixels alone",
                settings={"learner": "drlim", "alike": "pixels"},
                experiment=DIGITS + "shift_error",
            ),
            Arm(name="PCA", settings={"learner": "pca"}, experiment=DIGITS + "shift_error"),
            Arm(name="LLE", settings={"learner": "lle"}, experiment=DIGITS + "shift_error"),
            Arm(name="a fifth", settings={"share": 0.2}, experiment=DIGITS + "threshold"),
        ),
        comparisons=(
            Comparison(better="a fifth", worse="DrLIM, shifts known"),
            Comparison(better="DrLIM, pixels alone", worse="DrLIM, shifts known", margin=0.3),
            Comparison(better="PCA", worse="DrLIM, shifts known", margin=0.3),
            Comparison(better="LLE", worse="DrLIM, shifts known", margin=0.3),
        ),
        unit="of the distance to others",
        note="the mean distance of a digit to its own shifts, over that to other digits: less is "
        "better, so the arm that must have more stands first. 241 digits of 8 x 8 px in place of "
        "6,000 of MNIST; the paper shows pictures and gives no number",
    ),
)
