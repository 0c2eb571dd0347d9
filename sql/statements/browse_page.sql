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

shown as (
    select
        present.path,
        video.video_id,
        coalesce(waiting.label, item.label) as known_label,
        item.label_source,
        waiting.label is not null as is_waiting,
        label.label as predicted,
        top.score::double as score,
        top.novelty::double as novelty,
        video.verdict,
        video.duration_s,
        coalesce(item.recorded_at, video.recorded_at) as recorded_at,
        present.first_seen_at,
        places.places,
        issue.suggested
    from core.present_video as present
    inner join core.collection as collection on present.collection_key = collection.collection_key
    inner join core.video as video on present.video_key = video.video_key
    inner join places on present.video_key = places.video_key
    inner join core.item as item
        on
            present.collection_key = item.collection_key
            and present.path = item.path
    left join core.serving_prediction as top
        on
            present.collection_key = top.collection_key
            and present.video_key = top.video_key
    left join core.label as label on top.label_key = label.label_key
    left join core.label_issue as issue
        on
            present.collection_key = issue.collection_key
            and present.video_key = issue.video_key
            and item.label = issue.label
    left join waiting on video.video_id = waiting.video_id
    where collection.name = $collection
),

matching as (
    select
        *,
        -- Least first, whatever is sorted by; what has no value comes last.
        coalesce(
            case $sort
                when 'unsure' then score
                when 'sure' then -score
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
        and ($label is null or coalesce(known_label, predicted) = $label)
        and ($min_score is null or score >= $min_score)
        and ($max_score is null or score <= $max_score)
        and ($since is null or coalesce(recorded_at, first_seen_at) >= $since::timestamp)
        and ($until is null or coalesce(recorded_at, first_seen_at) < $until::timestamp)
        and ($verdict is null or verdict = $verdict)
        and case $state
            when 'labelled' then known_label is not null
            when 'unlabelled' then known_label is null
            when 'contradicted' then known_label <> predicted
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
