-- Where collections come from.
select distinct source
from core.collection
order by source
