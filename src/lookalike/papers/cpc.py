"""CPC: Representation Learning with Contrastive Predictive Coding (1807.03748)."""

from __future__ import annotations

from lookalike.papers.claims import Arm, Claim, Comparison

SMALL = {
    "method": "cpc",
    "size": 32,
    "batch_size": 32,
    "epochs": 30,
    "base_lr": 1e-3,
    "monitor_every": 1000,
}
"""Some minutes of two cores. The learning rate is five times the paper's, for so short a run;
nothing was tuned."""

GAUSSIANS = {"width": 8, "correlation": 0.8}
"""Two variables of 8 coordinates that share 4.09 nats: more than log 16, less than log 64."""

EXPERIMENTS = "lookalike.papers.gaussians:"

CLAIMS = (
    Claim(
        name="features",
        says="predicting patches from those above them gives features that a linear classifier can "
        "use, far beyond those of the untrained encoder",
        where="section 3.2, table 3",
        arms=(
            Arm(name="CPC"),
            Arm(name="untrained", measure="untrained_linear_top1"),
        ),
        comparisons=(Comparison(better="CPC", worse="untrained", margin=0.05),),
        settings=SMALL,
        note="the paper compares with other ways to learn without labels, on ImageNet",
    ),
    Claim(
        name="bound",
        says="InfoNCE bounds the mutual information from below, never above the log of the number "
        "of candidates, and more tightly the more there are",
        where="section 2.3 and appendix A.1",
        arms=(
            Arm(name="true information", experiment=EXPERIMENTS + "information"),
            Arm(
                name="log 16",
                settings={"candidates": 16},
                experiment=EXPERIMENTS + "ceiling",
            ),
            *(
                Arm(
                    name=f"{candidates} candidates",
                    settings={"candidates": candidates},
                    experiment=EXPERIMENTS + "estimate",
                )
                for candidates in (16, 64, 256)
            ),
        ),
        comparisons=(
            Comparison(better="true information", worse="256 candidates"),
            Comparison(better="log 16", worse="16 candidates"),
            Comparison(better="64 candidates", worse="16 candidates", margin=0.1),
            Comparison(better="256 candidates", worse="64 candidates", margin=0.1),
        ),
        settings=GAUSSIANS,
        unit="nats",
        note="correlated Gaussians, whose information is known, in place of images",
    ),
)
