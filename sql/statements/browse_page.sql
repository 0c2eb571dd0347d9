-- One page of a collection's videos that a person filters: labels that wait to be written count as written.
with waiting as (
    select
        unnest($waiting_ids::varchar[]) as video_id,
        unnest($waiting_labels::varchar[]) as label
),

places as (
    select
        cv.video_key,
        count(*) as places
    from core.collection_video as cv
    where cv.present
    group by cv.video_key
),

near_pair as (
    select
        pair.video_key,
        pair.other_video_key
    from core.near_duplicate as pair
    where pair.similarity >= 0.5
    union all
    select
        pair.other_video_key as video_key,
        pair.video_key as other_video_key
    from core.near_duplicate as pair
    where pair.similarity >= 0.5
),

near as (
    select distinct near_pair.video_key
    from near_pair
    inner join core.present_video as other on near_pair.other_video_key = other.video_key
),

-- Where a video may have several labels: those that hold, the sureness of the one that is least sure, and the
-- score of the one that is asked for.
of_several as (
    select
        present.video_key,
        coalesce(
            list(label.label order by label.label) filter (where prediction.over_threshold), []
        ) as held,
        min(greatest(prediction.score, 1 - prediction.score)) filter (
            where coalesce(label.label = $label, true)
        ) as sureness,
        any_value(prediction.score) filter (where label.label = $label) as asked_score
    from core.present_video as present
    inner join core.collection as collection on present.collection_key = collection.collection_key
    inner join core.collection_serving as serving on present.collection_key = serving.collection_key
    inner join core.prediction as prediction
        on
            present.video_key = prediction.video_key
            and serving.model_version = prediction.model_version
    inner join core.label as label on prediction.label_key = label.label_key
    where
        collection.name = $collection
        and collection.multi_label
        and prediction.over_threshold is not null
    group by present.video_key
),

shown as (
    select
        served.path,
        served.video_id,
        served.multi_label,
        coalesce(of_several.held, [served.predicted]) as predicted_labels,
        if(of_several.video_key is null, served.score, of_several.sureness) as sureness,
        coalesce(waiting.label, served.known_label) as known_label,
        case
            when waiting.label is null then served.known_labels
            when served.multi_label then string_split(waiting.label, '|')
            else [waiting.label]
        end as known_labels,
        served.label_source,
        waiting.label is not null as is_waiting,
        if(of_several.video_key is null, served.predicted, array_to_string(of_several.held, '|')) as predicted,
        if(of_several.video_key is null or $label is null, served.score, of_several.asked_score)::double as score,
        served.novelty,
        served.verdict,
        served.duration_s,
        served.recorded_at,
        served.first_seen_at,
        places.places,
        near.video_key is not null as has_near_duplicate,
        issue.suggested
    from core.served_video as served
    inner join places on served.video_key = places.video_key
    left join near on served.video_key = near.video_key
    left join of_several on served.video_key = of_several.video_key
    left join core.label_issue as issue
        on
            served.collection_key = issue.collection_key
            and served.video_key = issue.video_key
            and served.known_label = issue.label
    left join waiting on served.video_id = waiting.video_id
    where served.collection = $collection
),

matching as (
    select
        *,
        -- Least first, whatever is sorted by; what has no value comes last.
        coalesce(
            case $sort
                when 'unsure' then sureness
                when 'sure' then -sureness
                when 'novel' then -novelty
                when 'newest' then -epoch(coalesce(recorded_at, first_seen_at))
                when 'oldest' then epoch(coalesce(recorded_at, first_seen_at))
                when 'longest' then -duration_s
                else 0.0
            end,
            1e300
        ) as sort_value
    from shown
    where
        ($text is null or contains(lower(path), lower($text)))
        and ($label is null or list_contains(coalesce(known_labels, predicted_labels), $label))
        and ($min_score is null or score >= $min_score)
        and ($max_score is null or score <= $max_score)
        and ($since is null or coalesce(recorded_at, first_seen_at) >= $since::timestamp)
        and ($until is null or coalesce(recorded_at, first_seen_at) < $until::timestamp)
        and ($verdict is null or verdict = $verdict)
        and case $state
            when 'labelled' then known_label is not null
            when 'unlabelled' then known_label is null
            when 'contradicted'
                then
                    if(
                        multi_label,
                        predicted is not null and list_sort(known_labels) != predicted_labels,
                        not list_contains(known_labels, predicted)
                    )
            when 'doubtful' then suggested is not null and not is_waiting
            when 'waiting' then is_waiting
            else true
        end
        and case $novelty
            when 'known' then novelty <= 1
            when 'novel' then novelty > 1
            else true
        end
        and case $duplicate
            when 'copies' then places > 1
            when 'single' then places = 1
            when 'near' then has_near_duplicate
            else true
        end
),

page as (
    select *
    from matching
    where
        $after_path is null
        or sort_value > $after_value
        or (sort_value = $after_value and path > $after_path)
    order by sort_value asc, path asc
    limit $most
)

select
    page.*,
    (select count(*) from matching) as matching
from page
order by page.sort_value asc, page.path asc
