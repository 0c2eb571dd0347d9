-- One row per present video that is to be scored in windows. Of several collections' windows the finest apply, shots
-- before any; a video whose shots are not known yet is scored as a whole.
create or replace view core.wanted_windows as
select
    listed.video_key,
    collection.window_s,
    collection.stride_s,
    shots.starts_s
from core.collection_video as listed
inner join core.collection as collection on listed.collection_key = collection.collection_key
left join core.video_shots as shots
    on
        listed.video_key = shots.video_key
        and collection.window_s = 0
where
    listed.present
    and listed.video_key is not null
    and collection.window_s is not null
    and (collection.window_s > 0 or shots.starts_s is not null)
qualify
    row_number() over (
        partition by listed.video_key
        order by collection.window_s asc, collection.stride_s asc
    ) = 1;

comment on view core.wanted_windows is
'Internal: one row per present video that a collection wants scored in windows.';
comment on column core.wanted_windows.window_s is 'Length of a window in seconds; 0: shots.';
comment on column core.wanted_windows.starts_s is 'Where the shots begin, in seconds; null for windows of one length.';
