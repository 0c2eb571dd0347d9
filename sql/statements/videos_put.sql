merge into core.video as target
using given
    on target.video_id = given.video_id
when matched then
    update
        set
            container = given.container,
            video_codec = given.video_codec,
            width_px = given.width_px,
            height_px = given.height_px,
            rotation = given.rotation,
            source_fps = given.source_fps,
            is_vfr = given.is_vfr,
            duration_s = given.duration_s,
            frames_expected = given.frames_expected,
            stream_index = given.stream_index,
            stream_count = given.stream_count,
            mirrored = given.mirrored,
            field_order = given.field_order,
            sample_aspect_ratio = given.sample_aspect_ratio,
            display_width_px = given.display_width_px,
            display_height_px = given.display_height_px,
            times_assumed = given.times_assumed,
            recorded_at = given.recorded_at,
            recorded_text = given.recorded_text,
            verdict = given.verdict,
            frames_decoded = case when given.verdict is not null then 0 end
when not matched then insert (
    video_key, video_id, bytes, container, video_codec, width_px, height_px, rotation, source_fps, is_vfr,
    duration_s, frames_expected, stream_index, stream_count, mirrored, field_order, sample_aspect_ratio,
    display_width_px, display_height_px, times_assumed, recorded_at, recorded_text, verdict, frames_decoded
)
values (
    nextval('core.video_keys'), given.video_id, given.bytes, given.container, given.video_codec,
    given.width_px, given.height_px, given.rotation, given.source_fps, given.is_vfr, given.duration_s,
    given.frames_expected, given.stream_index, given.stream_count, given.mirrored, given.field_order,
    given.sample_aspect_ratio, given.display_width_px, given.display_height_px, given.times_assumed,
    given.recorded_at, given.recorded_text, given.verdict, case when given.verdict is not null then 0 end
)
