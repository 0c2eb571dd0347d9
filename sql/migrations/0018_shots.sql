-- Shots of videos whose collection is scored in shots: where each begins. A window_s of 0 stands for them.

create table core.video_shots (
    video_key integer not null,
    -- The first is 0; each shot ends where the next begins, the last with the video.
    starts_s double[] not null
);
