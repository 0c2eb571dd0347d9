-- Agreement of champion and challenger on the videos that this run scored in shadow.
select
    count(*) as compared,
    coalesce(sum((mine.label_key = theirs.label_key)::integer), 0) as agreeing
from core.prediction as mine
inner join core.prediction as theirs on mine.video_key = theirs.video_key
where
    mine.rank = 1
    and theirs.rank = 1
    and mine.model_version = $challenger
    and theirs.model_version = $champion
    and mine.run_id = $run_id
