select distinct rp.model_version
from core.reference_prediction as rp
where rp.model_version = $model_version
