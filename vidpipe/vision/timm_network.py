"""Networks of timm (extra `vidpipe[timm]`) with weights in a safetensors file: no unpickling, no download."""

from __future__ import annotations

import hashlib
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vidpipe import cores
from vidpipe.errors import ConfigurationError
from vidpipe.records.features import FeatureSpec
from vidpipe.records.videos import Floats, Pixels
from vidpipe.vision.backbone_choice import SAFETENSORS, TIMM
from vidpipe.vision.backbone_table import check_hash
from vidpipe.vision.network_io import activations, as_input, stored_range

INSTALL = "pip install 'vidpipe[timm]'."
_operators: Any = None


class TimmModel:
    """One network of timm with its weights.

    Attributes:
        size_px: Side of the input that it was trained for.
        mean: Of RGB from 0 to 1.
        std: Likewise.
        license: Of the weights, where timm says it.
    """

    def __init__(self, name: str, file: Path, content: bytes) -> None:
        """Build the network and load its weights.

        Raises:
            ConfigurationError: timm is missing, does not know the network, or the weights are another's.
        """
        timm = _library(file)
        if not timm.is_model(name):
            _wrong(file, f"timm = {name!r}", f"a network of timm {timm.__version__}: timm.list_models()")
        self._net = timm.create_model(name, pretrained=False).eval()
        config = self._net.pretrained_cfg
        self.size_px = int(config["input_size"][-1])
        self.mean, self.std = tuple(map(float, config["mean"])), tuple(map(float, config["std"]))
        self.license: str | None = config.get("license") or None
        self.version = str(timm.__version__)
        self._load(name, file, content, config.get("classifier") or ())

    def _load(self, name: str, file: Path, content: bytes, classifier: str | tuple[str, ...]) -> None:
        """Load the weights; those of the classifier, which is not used, may be missing or of other labels."""
        from safetensors.torch import load

        try:
            given = load(content)
        except Exception as error:  # safetensors' class is not exported everywhere
            _wrong(file, f"no safetensors ({str(error).splitlines()[0]})", "weights in safetensors")
        heads = tuple(f"{head}." for head in ([classifier] if isinstance(classifier, str) else classifier))
        own = self._net.state_dict()
        wanted = {key: given[key] for key in own if key in given and not key.startswith(heads or "\0")}
        odd = sorted(key for key in own.keys() ^ given.keys() if not key.startswith(heads or "\0"))
        odd += [key for key, value in wanted.items() if value.shape != own[key].shape]
        if odd:
            _wrong(
                file, f"weights that differ at {odd[0]} and {len(odd) - 1} more", f"those of timm's {name}"
            )
        self._net.load_state_dict(wanted, strict=False)

    @torch.inference_mode()
    def __call__(self, pixels: Floats, output: str) -> Floats:
        """Last map, tokens, or with `vector` what its classifier would see, of pixels (1, 3, H, W)."""
        found = self._net.forward_features(torch.from_numpy(pixels))
        if output == "vector":
            found = self._net.forward_head(found, pre_logits=True)
        numbers: Floats = found.float().numpy()
        return numbers


class TimmNetwork:
    """A loaded network of timm: frames to activations, each frame by itself.

    Attributes:
        workers: Batches computed side by side, one core each.
        numerics: Device, arithmetic and library that its bits depend on.
    """

    def __init__(self, file: Path, spec: FeatureSpec) -> None:
        """Load the file that a spec names.

        Raises:
            ConfigurationError: timm is not installed, or the weights are no network of it.
            UnsafeModel: The file's hash is not the spec's.
        """
        assert spec.network is not None
        content = file.read_bytes()
        put_back = "put the file back that these features were made with."
        check_hash(file, hashlib.sha256(content).hexdigest(), spec.weights_sha256, put_back)
        self._file, self._network, self._pooling = file, spec.network, spec.pooling
        self._model = TimmModel(spec.backbone.removeprefix(TIMM), file, content)
        self.workers = max(2, cores.count())  # a pool of one would compute with all threads
        kind = f"cpu-{torch.backends.cpu.get_cpu_capability()}-float32-timm-{self._model.version}-as-float16"
        self.numerics = f"{kind}/torch-{torch.__version__}"

    def __call__(self, frames: Pixels) -> Floats:
        """Activations of one batch, float32 (B, R), of frames uint8 (B, H, W, 3)."""
        return np.stack([self._activations(frame) for frame in frames])

    def _activations(self, frame: Pixels) -> Floats:
        output = self._model(as_input(frame, self._network), self._network.output)
        return activations(stored_range(output, self._file), self._network, self._pooling)


def cached_weights(name: str) -> Path:
    """Safetensors file of a network in the user's own Hugging Face cache, which nothing is added to here.

    Raises:
        ConfigurationError: timm is missing, or the weights are not in the cache.
    """
    timm = _library(Path(f"{TIMM}{name}"))
    from huggingface_hub import constants, try_to_load_from_cache

    if not timm.is_model(name):
        _wrong(Path(f"{TIMM}{name}"), repr(name), f"a network of timm {timm.__version__}: timm.list_models()")
    config = timm.get_pretrained_cfg(name)
    hub = getattr(config, "hf_hub_id", None) if config else None
    repository = f"timm/{hub.removeprefix('timm/')}" if hub else f"timm/{name}"
    found = try_to_load_from_cache(repository, f"model{SAFETENSORS}")
    if not isinstance(found, str):
        raise ConfigurationError(
            f"the backbone {TIMM}{name}: got no model{SAFETENSORS} of {repository} in "
            f"{constants.HF_HUB_CACHE}; expected it there, since a night downloads nothing.",
            next_step=f"once, python -c \"import timm; timm.create_model('{name}', pretrained=True)\"; or "
            f"set VIDPIPE_BACKBONE to a {SAFETENSORS} file.",
        )
    return Path(found)


def _library(file: Path) -> Any:
    """The library timm.

    Raises:
        ConfigurationError: It is not installed, or does not import.
    """
    try:
        _import_torchvision()
        import timm
    except (ImportError, RuntimeError) as error:
        raise ConfigurationError(
            f"the backbone {file} needs timm, of the extra vidpipe[timm], which does not import: {error}.",
            next_step=INSTALL,
        ) from None
    return timm


def _import_torchvision() -> None:
    """Import torchvision, on which timm depends, beside a CPU-only torch whose index has no wheel for it.

    Its compiled operators are missing then, and it refuses to import; that they are declared is enough, since
    none of timm's networks calls one.
    """
    global _operators  # noqa: PLW0603 (declarations go with the object that made them)
    for _ in range(8):
        try:
            import torchvision  # noqa: F401
        except RuntimeError as error:
            missing = re.match(r"operator torchvision::(\w+) does not exist", str(error))
            if missing is None:
                raise
            _operators = _operators or torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
            _operators.define(f"{missing[1]}(Tensor input) -> Tensor")
            for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
                del sys.modules[name]
        else:
            return


def _wrong(file: Path, got: str, expected: str) -> Any:
    raise ConfigurationError(
        f"the backbone {file}: got {got}; expected {expected}.", next_step="see docs/backbones.md."
    )
