-- One comment per table and column of `core`, the working tables behind the public views.
comment on table core.video is
'One row per video (file content, identified by its SHA-256); a path is only an attribute.';
comment on column core.video.video_key is 'Integer key used inside instead of video_id.';
comment on column core.video.recorded_at is
'When the recording began, UTC, as the container says; a time without a zone is taken as UTC.';
comment on column core.video.recorded_text is
'What the container says, where that names no time zone or is no date and time.';

comment on table core.video_shots is
'One row per video whose shots are known, for collections that are scored in shots.';
comment on column core.video_shots.video_key is 'The video.';
comment on column core.video_shots.starts_s is
'Where each shot begins, in seconds, the first at 0; each ends where the next begins.';

comment on table core.collection is
'One row per collection: a named set of videos with one source.';
comment on column core.collection.collection_key is 'Integer key used inside instead of the name.';
comment on column core.collection.name is 'Name of the collection.';
comment on column core.collection.source is 'Folder or URI that the videos come from.';
comment on column core.collection.created_at is 'When it was first ingested, UTC.';
comment on column core.collection.window_s is
'Length in seconds of the windows that its videos are scored in; 0: their shots; null where each is scored as a whole.';
comment on column core.collection.attribute_types is 'Declared columns of the manifest to their types.';
comment on column core.collection.time_from_name is 'Pattern of file names that the recording time is read from.';
comment on column core.collection.time_zone is 'Zone of recording times that name none; null: UTC.';

comment on table core.collection_video is
'One row per collection and path. Rows are never deleted, only marked absent.';
comment on column core.collection_video.path is 'Path of the file, relative to the collection''s source.';
comment on column core.collection_video.video_key is 'The video; null while the file could not be read.';
comment on column core.collection_video.label is 'Known label, if any.';
comment on column core.collection_video.typed is
'Declared attributes that parse, in the spelling that is cast to their types.';
comment on column core.collection_video.recorded_at is
'When the recording began, UTC, as manifest, name or the collection''s time zone have it.';
comment on column core.collection_video.ctime_ns is
'When the file system last changed the file, in nanoseconds, when last hashed.';
comment on column core.collection_video.size_bytes is 'Size of the file when last hashed.';
comment on column core.collection_video.mtime_ns is
'Modification time of the file when last hashed, in ns.';
comment on column core.collection_video.inode is 'Inode of the file when last hashed.';

comment on table core.labelled_span is
'One row per part of a video that the manifest labels, as it was listed last.';
comment on column core.labelled_span.path is 'Path of the file, relative to the collection''s source.';
comment on column core.labelled_span.start_s is 'Start of the part in seconds, inclusive.';
comment on column core.labelled_span.end_s is 'End of the part in seconds, exclusive.';
comment on column core.labelled_span.label is 'Its label.';

comment on table core.given_label is
'One row per collection, video and label that a person gave after ingest; the newest one holds.';
comment on column core.given_label.video_key is 'The video: the label stays with it wherever the file goes.';
comment on column core.given_label.label is 'The label that was given.';
comment on column core.given_label.source is 'Who gave it, or the name of the file that it came in.';

comment on table core.feature_set is
'One row per feature spec: how frames become features.';
comment on column core.feature_set.feature_set_key is 'Integer key used inside instead of feature_set_id.';
comment on column core.feature_set.created_at is 'When it was first used, UTC.';

comment on table core.video_feature is
'One row per video and feature set whose features are complete.';
comment on column core.video_feature.feature_set_key is 'The feature set.';
comment on column core.video_feature.run_id is 'The run that committed it.';
comment on column core.video_feature.sampling is 'full, or keyframes: which frames were decoded.';

comment on table core.failure is
'One row per collection, path and stage that went wrong.';
comment on column core.failure.path is 'Path of the file, relative to the collection''s source.';
comment on column core.failure.video_key is 'The video, if the file could be hashed.';
comment on column core.failure.status is 'retry, waiting (the file still changes; the next night reads it), quarantined or resolved.';

comment on table core.run is
'One row per pass of a verb.';
comment on column core.run.run_id is 'Number of the run.';
comment on column core.run.videos is 'Videos that it worked on.';

comment on table core.model is
'One row per registered model.';
comment on column core.model.model_key is 'Integer key used inside instead of the name.';
comment on column core.model.model_name is 'Name of the registered model in MLflow.';

comment on table core.label is
'One row per label that any model knows.';
comment on column core.label.label_key is 'Integer key used inside instead of the label.';
comment on column core.label.label is 'Class name.';

comment on table core.prediction is
'One row per video, model version and rank.';
comment on column core.prediction.model_version is
'Version of the registered model; below zero: see core.version.';
comment on column core.prediction.feature_set_key is 'The features that the model read.';
comment on column core.prediction.run_id is 'The run that wrote it.';
comment on column core.prediction.window_s is
'Length in seconds of the windows whose mean the score is; 0: shots; null where the video was scored as a whole.';

comment on table core.window_prediction is
'One row per video, model version, window and rank.';
comment on column core.window_prediction.model_version is
'Version of the registered model; below zero: see core.version.';
comment on column core.window_prediction.feature_set_key is 'The features that the model read.';
comment on column core.window_prediction.start_s is 'Start of the window in seconds, inclusive.';
comment on column core.window_prediction.end_s is 'End of the window in seconds, exclusive.';
comment on column core.window_prediction.run_id is 'The run that wrote it.';

comment on table core.promotion is
'One row per decision about the champion, open intents included.';
comment on column core.promotion.eval_set_hash is 'Hash of the test set that both models were scored on.';
comment on column core.promotion.to_version_key is
'The version that to_version means: core.version; null where that is not known.';
comment on column core.promotion.is_final is 'False while the alias has not yet followed the row.';

comment on table core.collection_serving is
'One row per collection that a model version serves.';
comment on column core.collection_serving.model_version is 'Version that serves it.';

comment on table core.evaluation_set is
'One row per frozen evaluation set.';
comment on column core.evaluation_set.evaluation_set_key is 'Integer key used inside instead of the hash.';
comment on column core.evaluation_set.eval_set_hash is 'Hash of its video ids, labels and groups.';
comment on column core.evaluation_set.collection is 'Collection that it was taken from.';
comment on column core.evaluation_set.split is 'Split that it was taken from.';
comment on column core.evaluation_set.chosen_at is 'When it was last frozen, UTC; promote uses the newest set.';

comment on table core.evaluation_video is
'One row per frozen evaluation set and video.';
comment on column core.evaluation_video.evaluation_set_key is 'The set.';
comment on column core.evaluation_video.label is 'Its true label when the set was frozen.';
comment on column core.evaluation_video.start_s is 'Start of the part, in seconds; null where it is all of the video.';
comment on column core.evaluation_video.end_s is 'End of the part, in seconds; null where it is all of the video.';
comment on column core.evaluation_video.group_name is 'Its group when the set was frozen.';

comment on table core.reference_prediction is
'One row per version, label and tenth of the score, on the version''s own test split.';
comment on column core.reference_prediction.model_version is
'Version of the registered model; below zero: see core.version.';
comment on column core.reference_prediction.label_key is 'Label of the top-1.';
comment on column core.reference_prediction.score_bin is 'Tenth of the score: 0 to 9.';
comment on column core.reference_prediction.videos is 'Test videos answered so.';

comment on table core.version_video is
'One row per version, video and split that the version was made with.';
comment on column core.version_video.model_version is
'Version of the registered model; below zero: see core.version.';
comment on column core.version_video.split is 'train, val or test.';

comment on table core.version is
'One row per model, number and digest of what was registered: MLflow counts anew in a new model or store.';
comment on column core.version.version_key is
'Integer key; rows of a version that does not have its number stand under the negated key.';
comment on column core.version.model_version is 'Its number in MLflow.';
comment on column core.version.digest is
'SHA-256 of what was registered; null where rows are older than this table.';
comment on column core.version.is_current is 'Whether its rows stand under the number.';

comment on table core.migration is
'One row per migration that this file has seen.';
comment on column core.migration.version is 'Number of the migration.';
comment on column core.migration.name is 'Its file name.';
comment on column core.migration.applied_at is 'When it ran, UTC.';

comment on table core.views_applied is
'One row: which text of the views this file carries.';
comment on column core.views_applied.views_hash is 'Hash of that text.';
comment on table core.label_check is 'One row per collection whose labels label-issues has checked.';
comment on column core.label_check.dataset_hash is 'Hash of the videos and labels that were checked.';
comment on column core.label_check.videos is 'Labelled videos that were checked.';
comment on column core.label_check.unjudged is 'Of these, videos of labels too rare to be judged.';
comment on column core.label_check.checked_at is 'When, UTC.';
comment on table core.label_issue is
'One row per collection and video whose label disagrees with out-of-fold scores.';
comment on column core.label_issue.rank is '1 is the likeliest wrong.';
comment on column core.label_issue.label is 'The label that it had.';
comment on column core.label_issue.label_score is 'Out-of-fold score of its label, 0 to 1.';
comment on column core.label_issue.suggested_score is 'Out-of-fold score of the suggested label.';
comment on column core.label_issue.is_confident is 'The suggested label scores as videos of that label do.';
comment on table core.projection is 'One row per feature set: the linear map that makes its vectors, fixed for good.';
comment on column core.projection.feature_set_key is 'The feature set.';
comment on column core.projection.sha256 is 'Hash of the weights.';
comment on column core.projection.weights is 'Centre and axes, as safetensors.';
comment on column core.projection.videos is 'Videos that it was fitted on.';
comment on column core.projection.created_at is 'When, UTC.';
comment on table core.video_vector is 'One row per video and feature set: its vector.';
comment on column core.video_vector.feature_set_key is 'The feature set.';
comment on column core.video_vector.vector is 'Of length 1, each number rounded to float16.';
comment on table core.novelty_model is 'One row per version: what its training videos are like.';
comment on column core.novelty_model.version_key is 'The version.';
comment on column core.novelty_model.weights is 'As safetensors; empty where too few videos were there.';
comment on column core.novelty_model.videos is 'Videos that it was fitted on.';
comment on column core.novelty_model.created_at is 'When, UTC.';
comment on table core.video_novelty is 'One row per video and version: how unlike it is to the training.';
comment on column core.video_novelty.version_key is 'The version.';
comment on column core.video_novelty.novelty is 'Above 1 the video is unlike what the version was trained on.';

comment on table core.feature_drift is
'One row per collection and night to which videos came: how far they are from a version''s training.';
comment on column core.feature_drift.run_id is 'The night.';
comment on column core.feature_drift.version_key is 'The champion of that night.';
comment on column core.feature_drift.videos is 'Videos that came.';
comment on column core.feature_drift.distance is 'Between the means of the features, in deviations of the training.';
comment on column core.feature_drift.p_features is 'P-value of the features; null where too little was there.';
comment on column core.feature_drift.p_recording is 'P-value of frame rate and size.';
comment on column core.feature_drift.statistic is 'Shiryaev-Roberts statistic after the night.';
comment on column core.feature_drift.nights is 'Nights that it joins.';
comment on column core.feature_drift.is_alarm is 'True where it reached 365 / 0.05.';
comment on column core.feature_drift.seen_until is
'When the last of the videos was first seen, UTC; -infinity where they wait for the next night.';
comment on column core.feature_drift.measured_at is 'When this was computed, UTC.';

comment on table core.drift_video is
'One row per video that later nights are compared with.';
comment on column core.drift_video.version_key is 'The champion.';
comment on column core.drift_video.collection_key is 'Collection of the night; null for a video of the training.';
comment on column core.drift_video.run_id is 'The night; 0 for a video of the training.';
comment on column core.drift_video.features is 'Means of its features over time, as float16.';

comment on table core.near_duplicate is 'One row per pair of videos and feature set: copies of one recording.';
comment on column core.near_duplicate.other_video_key is 'The video that came later.';
comment on column core.near_duplicate.similarity is 'Probability of a copy, 0.25 to 1.';
comment on column core.near_duplicate.start_s is 'When the first matched frame shows in the video, in seconds.';
comment on column core.near_duplicate.end_s is 'When the last one does.';
comment on column core.near_duplicate.other_start_s is 'When the first matched frame shows in the other video.';
comment on column core.near_duplicate.other_end_s is 'When the last one does.';
comment on column core.near_duplicate.frames is 'Sampled frames that match.';
comment on table core.compared_video is 'One row per video and feature set in which all others were compared with it.';
comment on column core.compared_video.feature_set_key is 'The feature set.';
comment on column core.near_duplicate.feature_set_key is 'The feature set in which they were found.';
