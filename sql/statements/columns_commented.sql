-- Every column of vidpipe's tables and views, with its comment.
select
    columns.schema_name,
    columns.table_name,
    columns.column_name,
    tables.table_name is not null as is_table,
    columns.comment
from duckdb_columns() as columns
left join duckdb_tables() as tables
    on columns.schema_name = tables.schema_name and columns.table_name = tables.table_name
where not columns.internal and columns.schema_name in ('main', 'core')
order by columns.schema_name, columns.table_name, columns.column_index
