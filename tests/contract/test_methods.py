"""Every method that is a file in `methods/` keeps the contract, on one process and on several."""

import copy
import functools

import pytest
import torch
import torch.distributed as dist

from lookalike import registry
from lookalike.backbones.build import build_backbone
from lookalike.methods.base import Batch
from lookalike.nn.gather import world_size
from lookalike.nn.synchronized_batch_norm import synchronize_batch_norm
from lookalike.nn.teacher import Teacher
from lookalike.testing import check_method

IMAGES, BATCH, STEPS = 24, 12, 3

# What differs from a method's defaults so that it is small, and the same on one process as on
# several: batch normalisation over the whole batch, and no draws of a process's own.
ARGUMENTS = {
    "densely_guided": {"response_weight": 0.5},
    "distillation": {"response": "dist", "mixup": True},
    "crd": {"image_count": IMAGES, "negatives": 16, "class_count": 4},
    "cpc": {"steps": 1, "jitter": 0.0, "directions": "all"},
    "embedding_distillation": {"dim": 16, "queue_size": 20},
    "exemplar": {"image_count": IMAGES},
    "feature_distillation": {"feature": "crd", "response_weight": 0.5},
    "lejepa": {"hidden_dim": 16, "directions": 24},
    "mean_shift": {"queue_size": 32, "neighbours": 3},
    "metric": {"loss": "supcon", "memory": 16},
    "moco": {"queue_size": 32, "splits": 1},
    "mutual": {"class_count": 4},
    "nnclr": {"queue_size": 32},
    "npid": {"image_count": IMAGES, "noise": 16},
    "pesf": {"mixup": True},
    "proxy_nca": {"class_count": 4},
    **{
        name: {"class_count": 4}
        for name in (
            "adaface",
            "arcface",
            "cosface",
            "normalised_softmax",
            "proxies",
            "proxy_anchor",
            "soft_triple",
            "sphereface",
            "subcentre_arcface",
        )
    },
    "sftn": {"class_count": 4, "student_arguments": {"width": 2}},
    "soteacher": {"class_count": 4, "image_count": IMAGES},
    "supervised": {"class_count": 4, "mixup": True},
    "teacher_free": {"class_count": 4},
}

# Likewise of a backbone, where not any will do: dropout draws other numbers on each process.
NETWORKS = {"exemplar": {"patch": 16, "dropout": 0.0}, "sftn": {}}

PAIRED = " on pairs"  # behind the name of a method that takes pairs, where it gets them


def methods():
    return sorted(registry.names("methods"))


def cases():
    taken = [name for name in methods() if load(name).takes_pairs]
    return [*methods(), *(name + PAIRED for name in taken)]


def load(name):
    return registry.load(registry.locate("methods", name))


def make(name, backbone=None, **arguments):
    method = load(name)
    if method.default_backbone or name in NETWORKS or backbone is None:
        network = NETWORKS.get(name, {})
        backbone = build_backbone(method.default_backbone or "small_conv", width=4, **network)
    taught = ([a_teacher(method.needs_teacher)],) if method.needs_teacher else ()
    return method(backbone, *taught, **{**ARGUMENTS.get(name, {}), **arguments})


def a_teacher(kind):
    """Return a small frozen network that tells four classes apart, or makes vectors."""
    torch.manual_seed(5)
    network = build_backbone("small_conv", width=2)
    if kind == "classes":
        network = torch.nn.Sequential(network, torch.nn.Linear(network.dim, 4))
    return Teacher(network, size=16)


def trained(case):
    """Return a method after some steps, as the loop and DistributedDataParallel would take them."""
    torch.manual_seed(0)
    method = make(case.removesuffix(PAIRED)).double()
    if world_size() > 1:
        synchronize_batch_norm(method)
    parameters = [each for each in method.parameters() if each.requires_grad]
    optimizer = torch.optim.SGD(parameters, lr=0.05, momentum=0.9)
    losses = []
    for number in range(STEPS):
        generator = torch.Generator().manual_seed(number)
        shape = (BATCH, 3, 16, 16)
        views = [torch.rand(shape, generator=generator).double() for _ in method.views.views]
        index = torch.randperm(IMAGES, generator=generator)[:BATCH]
        rank = dist.get_rank() if world_size() > 1 else 0
        similar = torch.rand(BATCH // 2, generator=generator) < 0.5
        share = (part.chunk(world_size())[rank] for part in (*views, index, similar))
        *views, index, similar = share
        if case.endswith(PAIRED):
            batch = Batch(tuple(views), torch.full_like(index, -1), index, similar)
        else:
            batch = Batch(tuple(views), index % 4, index)
        optimizer.zero_grad()
        step = method(batch)
        step.loss.backward()
        loss = step.loss.detach().clone()
        if world_size() > 1:
            for parameter in parameters:
                dist.all_reduce(parameter.grad)
                parameter.grad /= world_size()
            dist.all_reduce(loss)
            loss /= world_size()
        losses.append(loss)
        optimizer.step()
        with torch.no_grad():
            method.after_step(step, (number + 1) / STEPS)
    return {"losses": torch.stack(losses), **method.state_dict()}


def on_each_process():
    return {case: trained(case) for case in cases()}


@functools.cache
def alone(case):
    return trained(case)


@pytest.mark.parametrize("case", cases())
def test_several_processes_are_one(case, ranks):
    """Losses, parameters, averages, queues and banks after some steps."""
    for result in ranks:
        for key, value in alone(case).items():
            torch.testing.assert_close(result[case][key], value, rtol=1e-6, atol=1e-9, msg=key)


@pytest.mark.parametrize("name", methods())
def test_the_contract_is_kept(name):
    check_method(lambda backbone: make(name, backbone))


@pytest.mark.parametrize("name", methods())
def test_what_is_watched_is_what_the_loss_compares(name):
    """`embed` gives a matrix, in evaluation too, and moves nothing there."""
    method = make(name).eval()
    before = copy.deepcopy(method.state_dict())
    vectors = method.embed(torch.rand(5, 3, 16, 16))
    assert vectors.ndim == 2
    assert len(vectors) == 5
    for key, value in method.state_dict().items():
        assert value.equal(before[key]), key
