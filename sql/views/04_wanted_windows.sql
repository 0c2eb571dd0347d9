-- One row per present video that is to be scored in windows. Of several collections' windows the finest apply.
create or replace view core.wanted_windows as
select
    listed.video_key,
    collection.window_s,
    collection.stride_s
from core.collection_video as listed
inner join core.collection as collection on listed.collection_key = collection.collection_key
where
    listed.present
    and listed.video_key is not null
    and collection.window_s is not null
qualify
    row_number() over (
        partition by listed.video_key
        order by collection.window_s asc, collection.stride_s asc
    ) = 1;

comment on view core.wanted_windows is
'Internal: one row per present video that a collection wants scored in windows.';
comment on column core.wanted_windows.window_s is 'Length of a window in seconds.';
