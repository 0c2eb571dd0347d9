-- Sources of all collections.
select distinct source
from core.collection
order by source
