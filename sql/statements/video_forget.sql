-- Delete everything computed from a video. Its hash stays, so that it is never processed again.
delete from core.video_feature
where video_key in (select v.video_key from core.video as v where v.video_id = $video_id);

delete from core.prediction
where video_key in (select v.video_key from core.video as v where v.video_id = $video_id);

delete from core.window_prediction
where video_key in (select v.video_key from core.video as v where v.video_id = $video_id);

delete from core.given_label
where video_key in (select v.video_key from core.video as v where v.video_id = $video_id);

delete from core.video_novelty
where video_key in (select v.video_key from core.video as v where v.video_id = $video_id);

delete from core.video_vector
where video_key in (select v.video_key from core.video as v where v.video_id = $video_id);

delete from core.drift_video
where video_key in (select v.video_key from core.video as v where v.video_id = $video_id);

delete from core.near_duplicate
where
    video_key in (select v.video_key from core.video as v where v.video_id = $video_id)
    or other_video_key in (select v.video_key from core.video as v where v.video_id = $video_id);

delete from core.compared_video
where video_key in (select v.video_key from core.video as v where v.video_id = $video_id);

delete from core.video_shots
where video_key in (select v.video_key from core.video as v where v.video_id = $video_id);

delete from core.label_issue
where video_key in (select v.video_key from core.video as v where v.video_id = $video_id);

delete from core.failure
where video_key in (select v.video_key from core.video as v where v.video_id = $video_id);

update core.video
set
    container = 'forgotten',
    video_codec = null,
    width_px = null,
    height_px = null,
    rotation = null,
    source_fps = null,
    is_vfr = null,
    duration_s = null,
    frames_expected = null,
    stream_index = null,
    stream_count = null,
    mirrored = null,
    field_order = null,
    sample_aspect_ratio = null,
    display_width_px = null,
    display_height_px = null,
    times_assumed = null,
    recorded_at = null,
    recorded_text = null,
    frames_decoded = null,
    decode_errors = null,
    black_share = null,
    frozen_share = null,
    verdict = 'forgotten',
    forgotten_at = $now
where video_id = $video_id
