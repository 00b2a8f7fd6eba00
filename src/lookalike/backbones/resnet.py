"""ResNet. He et al. 2015, arXiv:1512.03385, table 1; with stems for small images.

Parameters go by torchvision's names, so its weights load as they are (but for its classifier).
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from lookalike import _check
from lookalike.backbones.base import Backbone
from lookalike.backbones.convolution import Conv1x1, Conv3x3

Stem = Literal["cifar", "strided", "imagenet"]


def resnet18(*, width: int = 64, stem: Stem = "cifar", zero_init_residual: bool = True) -> ResNet:
    """Return a ResNet-18: dim is 8 * width.

    Args:
        width: channels of the first stage (paper: 64).
        stem: cifar keeps the size, strided halves it, imagenet (the paper's) quarters it.
        zero_init_residual: start each block as its shortcut, as SimCLR's code does.
    """
    return ResNet(BasicBlock, (2, 2, 2, 2), width, stem, zero_init_residual)


def resnet34(*, width: int = 64, stem: Stem = "cifar", zero_init_residual: bool = True) -> ResNet:
    """Return a ResNet-34: dim is 8 * width.

    Args:
        width: channels of the first stage (paper: 64).
        stem: cifar keeps the size, strided halves it, imagenet (the paper's) quarters it.
        zero_init_residual: start each block as its shortcut, as SimCLR's code does.
    """
    return ResNet(BasicBlock, (3, 4, 6, 3), width, stem, zero_init_residual)


def resnet50(*, width: int = 64, stem: Stem = "cifar", zero_init_residual: bool = True) -> ResNet:
    """Return a ResNet-50: dim is 32 * width.

    Args:
        width: channels inside the first stage's blocks (paper: 64).
        stem: cifar keeps the size, strided halves it, imagenet (the paper's) quarters it.
        zero_init_residual: start each block as its shortcut, as SimCLR's code does.
    """
    return ResNet(Bottleneck, (3, 4, 6, 3), width, stem, zero_init_residual)


def shortcut(channels: int, out_channels: int, stride: int) -> nn.Module:
    """Return what gives a block's input the shape of its output: nothing, where it has it."""
    if stride == 1 and channels == out_channels:
        return nn.Identity()
    return nn.Sequential(Conv1x1(channels, out_channels, stride), nn.BatchNorm2d(out_channels))


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut; figure 5, left.

    Args:
        channels: of the input, (B, channels, H, W).
        width: channels inside the block and out of it, (B, width, H / stride, W / stride).
        stride: of the first convolution.
    """

    expansion = 1

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = Conv3x3(channels, width, stride)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = Conv3x3(width, width)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = shortcut(channels, width, stride)

    @property
    def last_norm(self) -> nn.BatchNorm2d:
        """The normalisation that the shortcut is added to."""
        return self.bn2

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, H, W) -> (B, width, H / stride, W / stride)."""
        residual = F.relu(self.bn1(self.conv1(x)), inplace=True)
        residual = self.bn2(self.conv2(residual))
        return F.relu(residual + self.downsample(x), inplace=True)


class Bottleneck(nn.Module):
    """A 3 x 3 convolution between two 1 x 1, beside a shortcut; figure 5, right.

    Args:
        channels: of the input, (B, channels, H, W).
        width: channels inside the block; (B, 4 * width, H / stride, W / stride) come out.
        stride: of the 3 x 3 convolution (the paper strides the first 1 x 1, which costs accuracy).
    """

    expansion = 4

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = Conv1x1(channels, width)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = Conv3x3(width, width, stride)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = Conv1x1(width, self.expansion * width)
        self.bn3 = nn.BatchNorm2d(self.expansion * width)
        self.downsample = shortcut(channels, self.expansion * width, stride)

    @property
    def last_norm(self) -> nn.BatchNorm2d:
        """The normalisation that the shortcut is added to."""
        return self.bn3

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, H, W) -> (B, 4 * width, H / stride, W / stride)."""
        residual = F.relu(self.bn1(self.conv1(x)), inplace=True)
        residual = F.relu(self.bn2(self.conv2(residual)), inplace=True)
        residual = self.bn3(self.conv3(residual))
        return F.relu(residual + self.downsample(x), inplace=True)


def stage(
    block: type[BasicBlock | Bottleneck], channels: int, width: int, depth: int, stride: int
) -> nn.Sequential:
    """Return `depth` blocks, the first of which changes size and channels."""
    first = block(channels, width, stride)
    rest = (block(width * block.expansion, width, 1) for _ in range(depth - 1))
    return nn.Sequential(first, *rest)


class ResNet(Backbone):
    """A stem, four stages of blocks that halve the size and double the width, an average.

    Args:
        block: what a stage is made of.
        depths: blocks of each stage.
        width: of the first stage's blocks.
        stem: what comes before them; see `resnet18`.
        zero_init_residual: see `resnet18`.

    Raises:
        ValueError: width is below 1, or there is no such stem.
    """

    def __init__(
        self,
        block: type[BasicBlock | Bottleneck],
        depths: tuple[int, int, int, int],
        width: int,
        stem: Stem,
        zero_init_residual: bool,
    ) -> None:
        _check.at_least(1, width=width)
        _check.one_of(("cifar", "strided", "imagenet"), stem=stem)
        super().__init__(dim=8 * width * block.expansion)
        if stem == "imagenet":
            self.conv1 = nn.Conv2d(3, width, 7, stride=2, padding=3, bias=False)
        else:
            self.conv1 = Conv3x3(3, width, stride=2 if stem == "strided" else 1)
        self.bn1 = nn.BatchNorm2d(width)
        self.pool = nn.MaxPool2d(3, stride=2, padding=1) if stem == "imagenet" else nn.Identity()
        stages = []
        channels = width
        for number, depth in enumerate(depths):
            stages.append(stage(block, channels, width << number, depth, 1 if number == 0 else 2))
            channels = (width << number) * block.expansion
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.widths = tuple((width << number) * block.expansion for number in range(4))
        self._initialise(zero_init_residual)

    def _initialise(self, zero_init_residual: bool) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif zero_init_residual and isinstance(module, BasicBlock | Bottleneck):
                nn.init.zeros_(module.last_norm.weight)

    def stages(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return the map of every stage: (B, 3, H, W) -> (B, C, H', W') each."""
        maps = [self.pool(F.relu(self.bn1(self.conv1(images)), inplace=True))]
        for blocks in (self.layer1, self.layer2, self.layer3, self.layer4):
            maps.append(blocks(maps[-1]))
        return tuple(maps[1:])

    def after(self, stage: int) -> nn.Module:
        """Return what comes after so many stages, and the average: of maps to (B, dim)."""
        rest = (self.layer1, self.layer2, self.layer3, self.layer4)[stage:]
        return nn.Sequential(*rest, nn.AdaptiveAvgPool2d(1), nn.Flatten())

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, dim), the average over the last stage's map."""
        representations: Tensor = self.stages(images)[-1].mean(dim=(2, 3))
        return representations
