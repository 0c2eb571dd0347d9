#!/usr/bin/env bash
# `ffmpeg -ss 0` on a raw H.264 stream or an animated WebP gives no frame at all: exit 0, no message.
# Without `-ss` the same command gives the first frame. A thumbnailer that always seeks ("-ss $middle", 0 where the
# duration is unknown, as it is for raw streams) finds such videos empty. MP4 and Matroska are as one would guess.
# Seen with ffmpeg 9.0.2 of imageio-ffmpeg 0.8.1:
#     raw.264 first frame 9216 bytes, with -ss 0: 0 bytes
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q imageio-ffmpeg==0.8.1
ffmpeg=$("$work/venv/bin/python" -c 'import imageio_ffmpeg; print(imageio_ffmpeg.get_ffmpeg_exe())')
cd "$work"
drawn=(-f lavfi -i "testsrc2=size=64x48:rate=25:duration=4")
"$ffmpeg" -v error "${drawn[@]}" -c:v libx264 -g 25 -pix_fmt yuv420p raw.264
"$ffmpeg" -v error "${drawn[@]}" -c:v libwebp_anim anim.webp
"$ffmpeg" -v error "${drawn[@]}" -c:v libx264 -g 25 -pix_fmt yuv420p file.mp4

first() {  # bytes of the first frame as RGB: FILE [OPTIONS]
    local file=$1 format=(); shift
    [[ $file == *.webp ]] && format=(-f webp_anim)
    "$ffmpeg" -nostdin -v error "${format[@]}" "$@" -i "$file" -frames:v 1 -f rawvideo -pix_fmt rgb24 - | wc -c
}

"$ffmpeg" -version | head -1
failed=0
for file in raw.264 anim.webp file.mp4; do
    plain=$(first "$file"); sought=$(first "$file" -ss 0)
    echo "$file first frame $plain bytes, with -ss 0: $sought bytes"
    expected=0; [[ $file == file.mp4 ]] && expected=9216
    [[ $plain == 9216 && $sought == "$expected" ]] || failed=1
done
exit $failed
