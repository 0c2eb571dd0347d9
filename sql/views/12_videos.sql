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
comment on column videos.recorded_at is
'When the recording began, UTC, as the container alone says (creation_time, QuickTime''s creationdate, date tags; a time without a zone is taken as UTC); null where it says nothing, or its clock was not set. What manifest and name say stands in collection_videos.';
