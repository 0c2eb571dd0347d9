-- One row per collection, present long video, label and segment in which the label scores high throughout.
create or replace macro events_above(min_score) as table (
    with bordered as (
        select
            *,
            coalesce(start_s > lag(end_s) over in_time, true) as is_first
        from core.serving_window
        where score >= min_score
        window in_time as (partition by collection, path, video_id, label order by start_s)
    ),

    numbered as (
        select
            *,
            sum(is_first::integer) over (
                partition by collection, path, video_id, label
                order by start_s
                rows between unbounded preceding and current row
            ) as segment
        from bordered
    )

    select
        collection,
        path,
        video_id,
        label,
        min(start_s) as start_s,
        max(end_s) as end_s,
        max(score) as peak_score,
        avg(score) as mean_score,
        count(*) as windows,
        model_version,
        max(predicted_at) as predicted_at,
        recorded_at + to_microseconds(round(min(start_s) * 1e6)::bigint) as start_at,
        recorded_at + to_microseconds(round(max(end_s) * 1e6)::bigint) as end_at
    from numbered
    group by collection, path, video_id, label, segment, model_version, recorded_at
);

create or replace view events as
from events_above(0.5);

comment on view events is
'One row per collection, present long video, label and segment: windows side by side in which the label scores 0.5 or more, by the version that serves the collection. Ask for more with peak_score, for less with events_above(min_score).';
comment on column events.path is 'Path in the collection; the first one when it holds copies.';
comment on column events.label is 'The label.';
comment on column events.start_s is 'Start of its first window in seconds, inclusive.';
comment on column events.end_s is 'End of its last window in seconds, exclusive.';
comment on column events.model_version is 'Version that serves the collection.';
comment on column events.predicted_at is 'When its newest window was scored, UTC.';

-- Last in its file: sqlfluff cannot parse a comment on a macro.
comment on macro table events_above is -- noqa: PRS
'Like events, with another least score of each window than 0.5; above 0.25 nothing is left out, since three labels are kept of each window.';
