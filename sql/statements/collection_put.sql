merge into core.collection as target
using (select $name as name) as given
    on target.name = given.name
when matched then
    update
        set
            source = $source,
            manifest = $manifest,
            label_from = $label_from,
            window_s = $window_s,
            stride_s = $stride_s,
            include_globs = $include_globs,
            exclude_globs = $exclude_globs,
            attribute_types = map($attribute_names::varchar[], $attribute_types::varchar[]),
            time_from_name = $time_from_name,
            time_zone = $time_zone,
            multi_label = $multi_label
when not matched then
    insert (
        collection_key,
        name,
        source,
        manifest,
        label_from,
        created_at,
        window_s,
        stride_s,
        include_globs,
        exclude_globs,
        attribute_types,
        time_from_name,
        time_zone,
        multi_label
    )
    values (
        nextval('core.collection_keys'),
        $name,
        $source,
        $manifest,
        $label_from,
        $now,
        $window_s,
        $stride_s,
        $include_globs,
        $exclude_globs,
        map($attribute_names::varchar[], $attribute_types::varchar[]),
        $time_from_name,
        $time_zone,
        $multi_label
    )
