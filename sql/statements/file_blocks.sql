-- Blocks of the database file, all and free, and the bytes of one.
select
    total_blocks,
    free_blocks,
    block_size
from pragma_database_size()
where database_name = current_database()
