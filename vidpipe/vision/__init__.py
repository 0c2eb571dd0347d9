"""CNN features of video frames: frame sampling, backbones, pooling, optical flow, streaming extraction."""
