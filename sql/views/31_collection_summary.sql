-- One row per collection: its progress.
create or replace view collection_summary as
with names as (
    select
        collection_key,
        unnest(labels) as label
    from core.item
    where present
),

different as (
    select
        collection_key,
        count(distinct label) as labels
    from names
    group by collection_key
),

paths as (
    select
        collection_key,
        count(*) filter (where not present) as absent,
        count(label) filter (where present) as labelled,
        max(last_seen_at) as last_ingest_at
    from core.item
    group by collection_key
),

featured as (
    select distinct video_key from core.video_feature
),

contents as (
    select
        present.collection_key,
        count(*) as present,
        count(featured.video_key) as with_features,
        count(top.video_key) as classified,
        max(top.predicted_at) as last_classified_at
    from core.present_video as present
    left join featured on present.video_key = featured.video_key
    left join core.serving_prediction as top
        on
            present.collection_key = top.collection_key
            and present.video_key = top.video_key
    group by present.collection_key
),

failing as (
    select
        failure.collection_key,
        count(distinct failure.path) as failing
    from core.failure as failure
    left join core.collection_video as item
        on
            failure.collection_key = item.collection_key
            and failure.path = item.path
    where
        failure.status <> 'resolved'
        and coalesce(item.present, true)
    group by failure.collection_key
),

final as (
    select
        collection.name as collection,
        coalesce(contents.present, 0) as present,
        coalesce(paths.absent, 0) as absent,
        coalesce(contents.with_features, 0) as with_features,
        coalesce(contents.classified, 0) as classified,
        coalesce(failing.failing, 0) as failing,
        coalesce(different.labels, 0) as labels,
        coalesce(paths.labelled, 0) as labelled,
        serving.model_version as serving_version,
        serving.since as serving_since,
        paths.last_ingest_at,
        contents.last_classified_at
    from core.collection as collection
    left join paths on collection.collection_key = paths.collection_key
    left join different on collection.collection_key = different.collection_key
    left join contents on collection.collection_key = contents.collection_key
    left join failing on collection.collection_key = failing.collection_key
    left join core.collection_serving as serving on collection.collection_key = serving.collection_key
)

select * from final;

comment on view collection_summary is
'One row per collection: numbers of videos ingested, extracted, classified and failing, and the serving version.';
comment on column collection_summary.present is 'Distinct videos that are there now.';
comment on column collection_summary.absent is 'Paths that are no longer there.';
comment on column collection_summary.with_features is
'Present videos with features of at least one feature set.';
comment on column collection_summary.classified is 'Present videos that the serving version has scored.';
comment on column collection_summary.failing is 'Paths with a failure that is not resolved.';
comment on column collection_summary.labels is 'Different known labels among the present paths.';
comment on column collection_summary.labelled is 'Present paths with a known label.';
comment on column collection_summary.serving_version is
'Version that serves the collection; null before the first champion.';
comment on column collection_summary.serving_since is 'When it began to serve, UTC.';
comment on column collection_summary.last_ingest_at is 'When the source was last listed, UTC.';
comment on column collection_summary.last_classified_at is 'Newest prediction of the serving version, UTC.';
