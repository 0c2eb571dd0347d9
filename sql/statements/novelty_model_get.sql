select weights
from core.novelty_model
where version_key = $version_key
