-- Comment of an internal view.
select comment
from duckdb_views()
where schema_name = 'core' and view_name = $view
