-- How often does another version agree with the serving one, label by label?
with answered as (
    select
        serving.collection,
        serving.label,
        other.model_version as other_version,
        other.label = serving.label as agrees
    from latest_predictions as serving
    inner join predictions as other
        on
            serving.video_id = other.video_id
            and serving.model_version <> other.model_version
    where other.rank = 1
),

final as (
    select
        collection,
        other_version,
        label,
        count(*) as videos,
        round(avg(agrees::integer), 3) as agreement
    from answered
    group by collection, other_version, label
)

select * from final
order by agreement asc, videos desc, collection asc, label asc, other_version asc;
