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
comment on column media_quality.path is 'Path in the collection; the first one when it holds copies.';
comment on column media_quality.decoded_share is
'Frames decoded over frames expected; null when the container does not say.';
