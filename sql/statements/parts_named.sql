-- Every part that the ledger names; other files are garbage.
select distinct
    fs.feature_set_id,
    vf.part
from core.video_feature as vf
inner join core.feature_set as fs on vf.feature_set_key = fs.feature_set_key
