-- One row per content.
create or replace view videos as
select
    video_id,
    bytes,
    container,
    video_codec,
    width_px,
    height_px,
    rotation,
    source_fps,
    is_vfr,
    duration_s,
    frames_expected,
    frames_decoded,
    decode_errors,
    verdict,
    black_share,
    frozen_share,
    forgotten_at
from core.video;

comment on view videos is
'One row per content, however many paths and collections hold it.';
comment on column videos.video_id is 'SHA-256 of the file''s bytes: the identity of the content.';
comment on column videos.bytes is 'Size of the file in bytes.';
comment on column videos.container is 'Container format as ffprobe names it.';
comment on column videos.video_codec is 'Codec of the video stream.';
comment on column videos.width_px is 'Width as shown, in pixels.';
comment on column videos.height_px is 'Height as shown, in pixels.';
comment on column videos.rotation is 'Clockwise rotation that the container asks for, in degrees.';
comment on column videos.source_fps is 'Mean frame rate, frames a second.';
comment on column videos.is_vfr is 'True when the frame rate varies.';
comment on column videos.duration_s is 'Duration in seconds.';
comment on column videos.frames_expected is
'Frames that the container announces; null when it does not say.';
comment on column videos.frames_decoded is 'Frames that were decoded.';
comment on column videos.decode_errors is 'Errors that the decoder reported on the way.';
comment on column videos.verdict is
'ok, partial (under 98 % of the expected frames), no_video, no_frames, unreadable, too_slow, forbidden or forgotten; null until decoded.';
comment on column videos.black_share is
'Share of the sampled frames that are black (98 % of the pixels below a tenth of full brightness).';
comment on column videos.frozen_share is
'Share of the sampled frames that equal the one before (mean difference below a thousandth of the range).';
comment on column videos.forgotten_at is 'When its features and predictions were erased for good.';
