-- Collections in order of their names, with how far each is.
select
    summary.collection,
    summary.present,
    summary.classified,
    summary.labelled,
    collection.window_s
from collection_summary as summary
inner join collections as collection on summary.collection = collection.collection
order by summary.collection
