-- Delete this version's predictions of the given videos in other windows, before new ones are inserted.
delete from core.window_prediction
using given, core.video as v, core.feature_set as fs, core.prediction as p
where
    given.video_id = v.video_id
    and fs.feature_set_id = $feature_set_id
    and p.video_key = v.video_key
    and p.model_version = $model_version
    and p.feature_set_key = fs.feature_set_key
    and p.rank = 1
    and given.rank = 1
    and (p.window_s is distinct from given.window_s or p.stride_s is distinct from given.stride_s)
    and core.window_prediction.video_key = v.video_key
    and core.window_prediction.model_version = $model_version
    and core.window_prediction.feature_set_key = fs.feature_set_key;

delete from core.prediction
using given, core.video as v, core.feature_set as fs
where
    given.video_id = v.video_id
    and fs.feature_set_id = $feature_set_id
    and given.rank = 1
    and core.prediction.video_key = v.video_key
    and core.prediction.model_version = $model_version
    and core.prediction.feature_set_key = fs.feature_set_key
    and (
        core.prediction.window_s is distinct from given.window_s
        or core.prediction.stride_s is distinct from given.stride_s
    )
