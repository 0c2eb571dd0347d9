"""ffmpeg and ffprobe: the only place that starts them."""
