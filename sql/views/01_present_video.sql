-- One row per collection and present video. Of several copies the first path represents all.
create or replace view core.present_video as
select
    collection_key,
    video_key,
    min(path) as path,
    min(first_seen_at) as first_seen_at
from core.collection_video
where present and video_key is not null
group by collection_key, video_key;

comment on view core.present_video is
'Internal: one row per collection and present video, copies folded into one.';
comment on column core.present_video.path is 'First path of the video in the collection.';
comment on column core.present_video.first_seen_at is 'When the first of its present paths was first listed, UTC.';
