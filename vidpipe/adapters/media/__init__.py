"""Video decoding and probing by ffmpeg and ffprobe subprocesses."""
