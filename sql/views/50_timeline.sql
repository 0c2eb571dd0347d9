-- One row per collection, present long video and segment: neighbouring windows to which the serving version gives one label.
create or replace view timeline as
with held as (
    select
        *,
        -- Of a multi-label version each label has a line of its own.
        if(over_threshold is null, '', label) as line
    from core.serving_window
    where coalesce(over_threshold, rank = 1)
),

bordered as (
    select
        *,
        coalesce(label <> lag(label) over in_time or start_s > lag(end_s) over in_time, true) as is_first
    from held
    window in_time as (partition by collection, path, video_id, line order by start_s)
),

numbered as (
    select
        *,
        sum(is_first::integer) over (
            partition by collection, path, video_id, line
            order by start_s
            rows between unbounded preceding and current row
        ) as segment
    from bordered
),

final as (
    select
        collection,
        path,
        video_id,
        min(start_s) as start_s,
        max(end_s) as end_s,
        label,
        max(score) as peak_score,
        avg(score) as mean_score,
        count(*) as windows,
        model_version,
        recorded_at + to_microseconds(round(min(start_s) * 1e6)::bigint) as start_at,
        recorded_at + to_microseconds(round(max(end_s) * 1e6)::bigint) as end_at
    from numbered
    group by collection, path, video_id, segment, label, model_version, recorded_at
)

select * from final;

comment on view timeline is
'One row per collection, present long video and segment: windows side by side whose best label, by the version that serves the collection, is the same; of a multi-label version, in which the label is over its threshold, beside other labels. Where windows overlap, segments of different labels do so at their border. Fast when filtered by collection, path or video_id.';
comment on column timeline.path is 'Path in the collection; the first one when it holds copies.';
comment on column timeline.start_s is 'Start of its first window in seconds, inclusive.';
comment on column timeline.end_s is 'End of its last window in seconds, exclusive.';
comment on column timeline.label is 'Label that all its windows have: the top-1, or of a multi-label version one over its threshold.';
comment on column timeline.model_version is 'Version that serves the collection.';
