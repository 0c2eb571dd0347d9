-- One row per video (file content).
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
    stream_index,
    stream_count,
    mirrored,
    field_order,
    sample_aspect_ratio,
    display_width_px,
    display_height_px,
    times_assumed,
    recorded_at,
    frames_expected,
    frames_decoded,
    decode_errors,
    verdict,
    black_share,
    frozen_share,
    forgotten_at
from core.video;

comment on view videos is
'One row per video (file content), in however many paths and collections it is.';
comment on column videos.video_id is 'SHA-256 of the file''s bytes: the identity of the video.';
comment on column videos.bytes is 'Size of the file in bytes.';
comment on column videos.container is 'Container format as ffprobe names it.';
comment on column videos.video_codec is 'Codec of the video stream.';
comment on column videos.width_px is 'Width as shown, in pixels.';
comment on column videos.height_px is 'Height as shown, in pixels.';
comment on column videos.rotation is 'Clockwise rotation that the container asks for, in degrees.';
comment on column videos.source_fps is 'Mean frame rate, frames a second.';
comment on column videos.is_vfr is 'True when the frame rate varies.';
comment on column videos.duration_s is 'Duration in seconds.';
comment on column videos.stream_index is
'Index of the stream that is read: no attached picture, no still; the most pixels times packets, then the default one, then the first.';
comment on column videos.stream_count is
'Moving pictures among the file''s streams.';
comment on column videos.mirrored is
'True when the container asks for a flip left to right, before the rotation.';
comment on column videos.field_order is
'progressive, or interlaced: tt, bb, tb, bt as ffprobe names them; null when nothing says. Fields are not separated.';
comment on column videos.sample_aspect_ratio is
'Width to height of one stored pixel, such as 24:11; null when nothing says (square).';
comment on column videos.display_width_px is
'Width with square pixels, after rotation.';
comment on column videos.display_height_px is
'Height with square pixels, after rotation.';
comment on column videos.times_assumed is
'True for raw streams without timestamps: times are counted from the stream''s frame rate, or 25 a second where it has none, and may be off.';
comment on column videos.recorded_at is
'When the recording began, UTC, as the container alone says (creation_time, QuickTime''s creationdate, date tags; a time without a zone is taken as UTC); null where it says nothing, or its clock was not set. What manifest and name say stands in collection_videos.';
comment on column videos.frames_expected is
'Frames that the packets of the stream promise, without those that the container hides; before decoding, what the index says; null where nothing honest can be said, as for a file that is cut off.';
comment on column videos.frames_decoded is 'Frames that were decoded.';
comment on column videos.decode_errors is 'Packets that did not decode, and frames that came out torn.';
comment on column videos.verdict is
'ok, partial (true damage: packets without a frame, torn frames, or a container that ends before it says), blank (each sampled frame is of one value), no_video, no_frames, unreadable, too_slow, forbidden or forgotten; null until decoded.';
comment on column videos.black_share is
'Share of the sampled frames that are black (98 % of the pixels below a tenth of full brightness).';
comment on column videos.frozen_share is
'Share of the sampled frames that equal the one before (mean difference below a thousandth of the range).';
comment on column videos.forgotten_at is 'When its features and predictions were erased for good.';
