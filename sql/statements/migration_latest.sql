select coalesce(max(version), 0) as latest
from core.migration
