-- Names of the public tables and views.
select view_name
from duckdb_views()
where
    not internal
    and schema_name = 'main'
order by view_name
