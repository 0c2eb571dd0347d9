-- One row per present video, at most k: those whose vectors are most like that of the video.
create or replace macro similar_videos(video_id, k) as table (
    with asked as materialized (
        select
            vv.video_key,
            vv.feature_set_key,
            vv.vector
        from core.video_vector as vv
        inner join core.video as v on vv.video_key = v.video_key
        where v.video_id = video_id
        qualify row_number() over (order by vv.feature_set_key desc) = 1
    ),

    -- No join here: it would copy every vector.
    scored as (
        select
            vv.video_key,
            case
                when
                    vv.feature_set_key = (select asked.feature_set_key from asked)
                    and vv.video_key <> (select asked.video_key from asked)
                    then array_cosine_similarity(vv.vector, (select asked.vector from asked))
            end as cosine
        from core.video_vector as vv
    ),

    nearest as (
        select
            scored.video_key,
            scored.cosine
        from scored
        where scored.video_key in (select present.video_key from core.present_video as present)
        order by scored.cosine desc nulls last
        limit k
    )

    select
        min_by(c.name, present.collection_key) as collection,
        min_by(present.path, present.collection_key) as path,
        v.video_id,
        nearest.cosine,
        min_by(coalesce(item.label, label.label), present.collection_key) as label
    from nearest
    inner join core.video as v on nearest.video_key = v.video_key
    inner join core.present_video as present on nearest.video_key = present.video_key
    inner join core.collection as c on present.collection_key = c.collection_key
    left join core.item as item
        on
            present.collection_key = item.collection_key
            and present.path = item.path
    left join core.serving_prediction as top
        on
            present.collection_key = top.collection_key
            and present.video_key = top.video_key
    left join core.label as label on top.label_key = label.label_key
    where nearest.cosine is not null
    group by
        v.video_id,
        nearest.cosine
    order by
        nearest.cosine desc,
        v.video_id asc
);

-- Last in its file: sqlfluff cannot parse a comment on a macro.
comment on macro table similar_videos is -- noqa: PRS
'At most k present videos whose vectors are most like that of video_id, by cosine, of the newest feature set in which it has one: collection, path, video_id, cosine, and the known label, else the predicted one.';
