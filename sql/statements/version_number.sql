select v.model_version
from core.version as v
where v.version_key = $version_key
