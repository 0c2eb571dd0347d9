-- Which frames were decoded for a video's features: all of them, until now.

alter table core.video_feature add column sampling varchar;

update core.video_feature set sampling = 'full';
