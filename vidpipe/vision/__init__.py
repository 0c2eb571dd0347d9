"""From frames to features: sampling, backbone, pooling, the extraction engine."""
