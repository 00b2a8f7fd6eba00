"""The claims change what they say they change, and nothing else."""

from lookalike.papers.exemplar import CLAIMS
from lookalike.views.plans import EXEMPLAR, View


def claim(name):
    return next(each for each in CLAIMS if each.name == name)


def test_each_arm_switches_one_kind_of_transformation_off():
    (whole,) = EXEMPLAR.views
    switched = {}
    for arm in claim("transformations").arms:
        plan = EXEMPLAR.with_(**arm.settings.get("views_arguments", {}))
        (view,) = plan.views
        fields = View.__dataclass_fields__
        switched[arm.name] = {
            name for name in fields if getattr(view, name) != getattr(whole, name)
        }
        assert all(getattr(view, name) == fields[name].default for name in switched[arm.name])
    assert switched == {
        "all": set(),
        "no translation": {"translation"},
        "no colour or contrast": {"principal", "tone", "hue_shift"},
        "no rotation": {"rotation"},
        "no scale": {"scale"},
    }


def test_arms_with_fewer_classes_take_as_many_steps():
    each = claim("classes")
    batch = each.settings["batch_size"]
    steps = [arm.settings["limit"] // batch * arm.settings["epochs"] for arm in each.arms]
    assert max(steps) < 1.1 * min(steps)


def test_every_arm_sees_the_same_settings_else():
    for each in CLAIMS:
        assert each.measure == "quadrant_linear_top1"
        for arm in each.arms:
            assert set(arm.settings) <= {"views_arguments", "limit", "epochs"}
