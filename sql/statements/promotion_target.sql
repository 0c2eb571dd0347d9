select p.to_version_key
from core.promotion as p
where p.promotion_id = $promotion_id
