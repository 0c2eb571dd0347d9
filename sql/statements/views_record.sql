delete from core.views_applied;

insert into core.views_applied (views_hash)
values ($views_hash)
