-- One row per video and feature set: its vector.
create or replace view video_vectors as
select
    video.video_id,
    feature_set.feature_set_id,
    video_vector.vector
from core.video_vector as video_vector
inner join core.video as video on video_vector.video_key = video.video_key
inner join core.feature_set as feature_set on video_vector.feature_set_key = feature_set.feature_set_key;

comment on view video_vectors is
'One row per video and feature set: the mean of its features, centred, scaled and projected to 128 numbers. How alike two videos of one feature set are is array_cosine_similarity of their vectors.';
comment on column video_vectors.feature_set_id is 'Hash of the feature spec: vectors of different sets do not compare.';
comment on column video_vectors.vector is 'Of length 1, each number rounded to float16.';
