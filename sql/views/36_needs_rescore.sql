-- One row per collection and present video that only versions other than the champion have scored.
create or replace view needs_rescore as
with champion as (
    select champion_as_of('infinity'::timestamp) as champion_version
),

scored as (
    select
        prediction.video_key,
        champion.champion_version,
        max_by(prediction.model_version, (prediction.predicted_at, prediction.model_version)) as scored_by
    from core.prediction as prediction
    inner join champion on prediction.model_version <> champion.champion_version
    where
        prediction.rank = 1
        and prediction.model_version > 0
        and not exists (
            select 1
            from core.prediction as own
            where
                own.video_key = prediction.video_key
                and own.model_version = champion.champion_version
                and own.rank = 1
        )
    group by prediction.video_key, champion.champion_version
),

final as (
    select
        collection.name as collection,
        present.path,
        video.video_id,
        scored.scored_by,
        scored.champion_version
    from core.present_video as present
    inner join core.collection as collection on present.collection_key = collection.collection_key
    inner join core.video as video on present.video_key = video.video_key
    inner join scored on present.video_key = scored.video_key
    where
        exists (
            select 1
            from core.video_feature as feature
            where feature.video_key = present.video_key
        )
)

select * from final;

comment on view needs_rescore is
'One row per collection and present video with features that the current champion has not scored, but another version has.';
comment on column needs_rescore.path is 'Path in the collection; the first one when it holds copies.';
comment on column needs_rescore.scored_by is 'Version of its newest prediction.';
comment on column needs_rescore.champion_version is 'The current champion.';
