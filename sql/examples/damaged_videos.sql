-- Which videos lost more than five per cent of their frames, or any to decode errors?
select
    collection,
    path,
    verdict,
    video_codec,
    round(decoded_share, 3) as decoded_share,
    decode_errors
from media_quality
where decoded_share < 0.95 or decode_errors > 0
order by decoded_share, collection, path;
