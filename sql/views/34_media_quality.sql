-- One row per collection and present video: media facts and decode results.
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
    video.stream_index,
    video.stream_count,
    video.mirrored,
    video.field_order,
    video.sample_aspect_ratio,
    video.display_width_px,
    video.display_height_px,
    video.times_assumed,
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
comment on column media_quality.video_id is 'SHA-256 of the file''s bytes: the identity of the video.';
comment on column media_quality.verdict is
'ok, partial (true damage: packets without a frame, torn frames, or a container that ends before it says), blank (each sampled frame is of one value), no_video, no_frames, unreadable, too_slow, forbidden or forgotten; null until decoded.';
comment on column media_quality.bytes is 'Size of the file in bytes.';
comment on column media_quality.container is 'Container format as ffprobe names it.';
comment on column media_quality.video_codec is 'Codec of the video stream.';
comment on column media_quality.width_px is 'Width as shown, in pixels.';
comment on column media_quality.height_px is 'Height as shown, in pixels.';
comment on column media_quality.rotation is 'Clockwise rotation that the container asks for, in degrees.';
comment on column media_quality.source_fps is 'Mean frame rate, frames a second.';
comment on column media_quality.is_vfr is 'True when the frame rate varies.';
comment on column media_quality.duration_s is 'Duration in seconds.';
comment on column media_quality.stream_index is
'Index of the stream that is read: no attached picture, no still; the most pixels times packets, then the default one, then the first.';
comment on column media_quality.stream_count is
'Moving pictures among the file''s streams.';
comment on column media_quality.mirrored is
'True when the container asks for a flip left to right, before the rotation.';
comment on column media_quality.field_order is
'progressive, or interlaced: tt, bb, tb, bt as ffprobe names them; null when nothing says. Fields are not separated.';
comment on column media_quality.sample_aspect_ratio is
'Width to height of one stored pixel, such as 24:11; null when nothing says (square).';
comment on column media_quality.display_width_px is
'Width with square pixels, after rotation.';
comment on column media_quality.display_height_px is
'Height with square pixels, after rotation.';
comment on column media_quality.times_assumed is
'True for raw streams without timestamps: times are counted from the stream''s frame rate, or 25 a second where it has none, and may be off.';
comment on column media_quality.frames_expected is
'Frames that the packets of the stream promise, without those that the container hides; before decoding, what the index says; null where nothing honest can be said, as for a file that is cut off.';
comment on column media_quality.frames_decoded is 'Frames that were decoded.';
comment on column media_quality.decoded_share is
'Frames decoded over frames expected; null when the container does not say.';
comment on column media_quality.decode_errors is 'Packets that did not decode, and frames that came out torn.';
comment on column media_quality.black_share is
'Share of the sampled frames that are black (98 % of the pixels below a tenth of full brightness).';
comment on column media_quality.frozen_share is
'Share of the sampled frames that equal the one before (mean difference below a thousandth of the range).';
