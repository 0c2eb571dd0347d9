select views_hash
from core.views_applied
