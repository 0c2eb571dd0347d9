-- Which of the given videos have been compared with the others of a feature set?
select v.video_id
from given
inner join core.video as v on given.video_id = v.video_id
inner join core.compared_video as compared on v.video_key = compared.video_key
inner join core.feature_set as fs on compared.feature_set_key = fs.feature_set_key
where fs.feature_set_id = $feature_set_id
