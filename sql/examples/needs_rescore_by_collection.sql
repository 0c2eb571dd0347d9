-- How much has the current champion still to score again?
select
    collection,
    champion_version,
    scored_by,
    count(*) as videos
from needs_rescore
group by collection, champion_version, scored_by
order by videos desc, collection asc, scored_by asc;
