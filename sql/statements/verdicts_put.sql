update core.video
set
    verdict = coalesce(given.verdict, core.video.verdict),
    frames_expected = coalesce(given.frames_expected, core.video.frames_expected),
    frames_decoded = coalesce(given.frames_decoded, core.video.frames_decoded),
    black_share = coalesce(given.black_share, core.video.black_share),
    frozen_share = coalesce(given.frozen_share, core.video.frozen_share),
    decode_errors = coalesce(given.decode_errors, core.video.decode_errors)
from given
where core.video.video_id = given.video_id
