-- Replace a collection's labelled spans by those of the listing.
delete from core.labelled_span
where collection_key = (select c.collection_key from core.collection as c where c.name = $collection);

insert into core.labelled_span (collection_key, path, start_s, end_s, label)
select
    c.collection_key,
    given.path,
    given.start_s,
    given.end_s,
    given.label
from given
inner join core.collection as c on c.name = $collection
