-- Delete predictions from before a moment, but for the labels that hold by the versions that are kept, and for the best
-- one; then the novelty for versions whose predictions are gone.
delete from core.prediction
where
    predicted_at < $before
    and not ((rank = 1 or coalesce(over_threshold, false)) and list_contains($kept, model_version));

delete from core.window_prediction
where
    predicted_at < $before
    and not ((rank = 1 or coalesce(over_threshold, false)) and list_contains($kept, model_version));

delete from core.video_novelty
using core.version as v
where
    core.video_novelty.version_key = v.version_key
    and not list_contains($kept, v.model_version)
    and not exists (
        select 1
        from core.prediction as p
        where
            p.video_key = core.video_novelty.video_key
            and p.model_version = case when v.is_current then v.model_version else -v.version_key end
    );
