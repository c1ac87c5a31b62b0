"""The network: a small residual CNN over a 64×64 grey image, up to a global average.

Owns layers, standardisation and weight (de)serialisation. Training is in `fit`, the served file in
`export`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Final

import torch
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.nn import functional as F

INPUT_SIZE: Final = 64
STANDARD_DEVIATION_FLOOR: Final = 0.02  # of 0…1: a blank image stays blank, not noise
WIDTHS: Final = (16, 32, 64, 96)  # stem at 32×32, then 16×16, then 8×8, then the embedding


def two_views(images: Tensor) -> Tensor:
    """Turn uint8 or 0…255 float [N, H, W] into float32 [N, 2, H, W]: standardised, and as it is.

    The first, of zero mean and unit variance, makes brightness and contrast of no account. The
    second, in −1…1, lets the network know a rendering that it was trained on: some slices of this
    data set can be told apart by nothing else.
    """
    x = images.to(torch.float32).unsqueeze(1) / 255.0
    mean = x.mean((1, 2, 3), keepdim=True)
    variance = (x - mean).square().mean((1, 2, 3), keepdim=True)
    return torch.cat([(x - mean) / (variance + STANDARD_DEVIATION_FLOOR**2).sqrt(), 2 * x - 1], 1)


class ConvUnit(nn.Module):
    """Convolution, batch normalisation, ReLU; if `residual`, the input is added before the ReLU."""

    def __init__(
        self, n_in: int, n_out: int, kernel: int, *, stride: int = 1, residual: bool = False
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(n_in, n_out, kernel, stride=stride, padding=kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(n_out)
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.conv(x))
        return F.relu(y + x if self.residual else y, inplace=True)

    def folded(self) -> tuple[Tensor, Tensor]:
        """Fold the normalisation into the convolution's weight and bias."""
        norm = self.norm
        scale = norm.weight / (norm.get_buffer("running_var") + norm.eps).sqrt()
        bias = norm.bias - norm.get_buffer("running_mean") * scale
        return self.conv.weight * scale[:, None, None, None], bias


class Network(nn.Module):
    """uint8 [N, 64, 64] to logits [N, C + 1]; the last logit is "none of the classes"."""

    def __init__(self, n_classes: int, widths: Sequence[int] = WIDTHS) -> None:
        super().__init__()
        a, b, c, d = widths
        self.units = nn.Sequential(
            ConvUnit(2, a, 5, stride=2),
            ConvUnit(a, b, 3, stride=2),
            ConvUnit(b, b, 3, residual=True),
            ConvUnit(b, c, 3, stride=2),
            ConvUnit(c, c, 3, residual=True),
            ConvUnit(c, c, 3, residual=True),
            ConvUnit(c, d, 1),
        )
        self.head = nn.Linear(d, n_classes + 1)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.embed(images))
        return logits

    def embed(self, images: Tensor) -> Tensor:
        """Embed as [N, D]: the global average of the last feature map, not negative."""
        x = two_views(images).contiguous(memory_format=torch.channels_last)
        features: Tensor = self.units(x)
        return features.float().mean((2, 3))

    def conv_units(self) -> list[ConvUnit]:
        """List the convolutional part in order, for export."""
        return [unit for unit in self.units if isinstance(unit, ConvUnit)]


def to_safetensors(network: Network, labels: Sequence[str]) -> bytes:
    """Save all weights and statistics; the labels in head order travel as JSON in the metadata."""
    state = {name: tensor.cpu().contiguous() for name, tensor in network.state_dict().items()}
    # One key only: safetensors writes several in no fixed order, and equal weights must give equal
    # bytes.
    return save(state, metadata={"medloop": json.dumps({"labels": list(labels)})})


def weights_sha256(network: Network) -> str:
    """Hash names, shapes and values: equal for equal weights, whatever file holds them."""
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def saved_labels(weights: bytes) -> tuple[str, ...]:
    """Read the labels in the order of the saved head's rows."""
    header_size = int.from_bytes(weights[:8], "little")
    header = json.loads(weights[8 : 8 + header_size])
    return tuple(json.loads(header["__metadata__"]["medloop"])["labels"])


def warm_start(network: Network, labels: Sequence[str], weights: bytes) -> None:
    """Load `weights`; head rows go by label, so classes may be added, dropped or reordered."""
    state, old = load(weights), saved_labels(weights)
    rows = {row: old.index(label) for row, label in enumerate(labels) if label in old}
    rows[len(labels)] = len(old)  # "none of the classes"
    for name, tensor in network.head.state_dict().items():
        head = tensor.clone()
        for row, old_row in rows.items():
            head[row] = state[f"head.{name}"][old_row]
        state[f"head.{name}"] = head
    network.load_state_dict(state)
