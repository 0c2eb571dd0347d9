-- Which files of its source a collection takes, as `ingest --include` and `--exclude` said.

alter table core.collection add column include_globs varchar[];
alter table core.collection add column exclude_globs varchar[];
