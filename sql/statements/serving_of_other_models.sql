-- Collections served by a version of another registered model; a home has one model at a time.
delete from core.collection_serving
where
    model_version in (
        select v.model_version
        from core.version as v
        where
            v.is_current
            and v.model_name <> (
                select mine.model_name from core.version as mine where mine.version_key = $version_key
            )
    )
