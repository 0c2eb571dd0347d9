-- One row per collection and present video: what the decoder made of it.
create or replace view media_quality as
select
    collection.name as collection,
    present.path,
    video.video_id,
    video.verdict,
    video.bytes,
    video.container,
    video.video_codec,
    video.width_px,
    video.height_px,
    video.rotation,
    video.source_fps,
    video.is_vfr,
    video.duration_s,
    video.frames_expected,
    video.frames_decoded,
    video.frames_decoded / nullif(video.frames_expected, 0) as decoded_share,
    video.decode_errors,
    video.black_share,
    video.frozen_share
from core.present_video as present
inner join core.collection as collection on present.collection_key = collection.collection_key
inner join core.video as video on present.video_key = video.video_key;

comment on view media_quality is
'One row per collection and present video: its media facts, and how much of it could be decoded.';
comment on column media_quality.collection is 'Name of the collection.';
comment on column media_quality.path is 'Path in the collection; the first one when it holds copies.';
comment on column media_quality.video_id is 'SHA-256 of the file''s bytes: the identity of the content.';
comment on column media_quality.verdict is
'ok, partial (under 98 % of the expected frames), no_video, no_frames, unreadable, too_slow, forbidden or forgotten; null until decoded.';
comment on column media_quality.bytes is 'Size of the file in bytes.';
comment on column media_quality.container is 'Container format as ffprobe names it.';
comment on column media_quality.video_codec is 'Codec of the video stream.';
comment on column media_quality.width_px is 'Width as shown, in pixels.';
comment on column media_quality.height_px is 'Height as shown, in pixels.';
comment on column media_quality.rotation is 'Clockwise rotation that the container asks for, in degrees.';
comment on column media_quality.source_fps is 'Mean frame rate, frames a second.';
comment on column media_quality.is_vfr is 'True when the frame rate varies.';
comment on column media_quality.duration_s is 'Duration in seconds.';
comment on column media_quality.frames_expected is
'Frames that the container announces; null when it does not say.';
comment on column media_quality.frames_decoded is 'Frames that were decoded.';
comment on column media_quality.decoded_share is
'Frames decoded over frames expected; null when the container does not say.';
comment on column media_quality.decode_errors is 'Errors that the decoder reported on the way.';
comment on column media_quality.black_share is
'Share of the sampled frames that are black (98 % of the pixels below a tenth of full brightness).';
comment on column media_quality.frozen_share is
'Share of the sampled frames that equal the one before (mean difference below a thousandth of the range).';
