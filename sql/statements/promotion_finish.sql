update core.promotion
set is_final = true
where promotion_id = $promotion_id
