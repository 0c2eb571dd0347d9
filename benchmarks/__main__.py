"""`python -m benchmarks` runs them all, one after the other; each can be run alone as well."""

import subprocess
import sys

ALL = (
    "cnn", "extraction", "decoding", "long_video", "keyframes", "rescoring", "scale", "planning", "warehouse",
    "start", "orchestration", "executors", "accuracy", "devices", "survival", "kills",
    "wrong_labels", "novelty", "feature_drift", "similar", "near_duplicates",
    "several_labels", "year",
)  # fmt: skip


def main() -> int:
    """The number of benchmarks that ended badly."""
    bad = 0
    for name in ALL:
        print(f"\n== benchmarks.{name}", flush=True)
        bad += subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False).returncode != 0
    return bad


if __name__ == "__main__":
    sys.exit(main())
