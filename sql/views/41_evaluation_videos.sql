-- One row per frozen evaluation set and video, or labelled part of one.
create or replace view evaluation_videos as
select
    chosen.eval_set_hash,
    video.video_id,
    member.label,
    member.group_name,
    member.start_s,
    member.end_s
from core.evaluation_video as member
inner join core.evaluation_set as chosen on member.evaluation_set_key = chosen.evaluation_set_key
inner join core.video as video on member.video_key = video.video_key;

comment on view evaluation_videos is
'One row per frozen evaluation set and video, or labelled part of one.';
comment on column evaluation_videos.eval_set_hash is 'The set.';
comment on column evaluation_videos.label is 'Its true label, as it was when the set was frozen.';
comment on column evaluation_videos.group_name is 'Its group; its own id when the manifest names none.';
comment on column evaluation_videos.start_s is 'Start of the part, in seconds; null where it is all of the video.';
comment on column evaluation_videos.end_s is 'End of the part, in seconds; null where it is all of the video.';
