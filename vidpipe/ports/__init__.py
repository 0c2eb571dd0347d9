"""Ports: Protocols of everything outside that the steps use, by role, and the dataclass that holds them.

Adapters implement them structurally; `wiring.py` binds both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from vidpipe.ports.coordination import Lease, Progress, ShardExecutor
from vidpipe.ports.features import FeatureStore
from vidpipe.ports.ledger import Ledger
from vidpipe.ports.media import Videos
from vidpipe.ports.models import ModelBundle, Registry
from vidpipe.ports.outcome import Monitoring, Pictures, Reports, WaitingLabels, Warehouse
from vidpipe.ports.sources import Catalog, Objects, Staging
from vidpipe.records.features import FeatureSpec

if TYPE_CHECKING:  # torch takes a second to load, which `vidpipe status` does not have
    from vidpipe.evaluation.gate import Policy
    from vidpipe.vision.backbones import Backbone


@dataclass(frozen=True, slots=True)
class Limits:
    """Settings of the steps."""

    spec: FeatureSpec
    """For features made before any model asks for another spec."""
    workers: int
    part_frames: int
    top_k: int
    failure_budget: float
    policy: Policy
    """What the gate asks for."""
    backfill_s: float
    """Seconds that a night may spend on scoring the archive again."""
    staging_bytes: int
    """Room on the local disk for objects on their way."""
    wait_for_lease: bool = False


@dataclass(frozen=True, slots=True)
class Ports:
    """All ports that a step may use."""

    catalog: Catalog
    objects: Objects
    staging: Staging
    videos: Videos
    store: FeatureStore
    registry: Registry
    ledger: Ledger
    warehouse: Warehouse
    reports: Reports
    pictures: Pictures
    waiting_labels: WaitingLabels
    monitoring: Monitoring
    lease: Lease
    progress: Progress
    executor: ShardExecutor
    limits: Limits
    make_bundle: Callable[..., ModelBundle]
    load_backbone: Callable[[FeatureSpec], Backbone]
    require_backbone: Callable[[FeatureSpec], None]
    """Raises where the backbone of a spec is missing or another one; keeps a copy of a file."""
    actor: str = field(default="unknown")
