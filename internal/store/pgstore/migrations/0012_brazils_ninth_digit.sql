-- +goose Up
-- A Brazilian mobile is one number with and without its 9, and its alias has it. If both
-- forms have a contact, the one who wrote last gets the alias; the other one keeps the old
-- alias, and is merged when the person writes again.
LOCK TABLE psi_router.aliases IN SHARE ROW EXCLUSIVE MODE;

CREATE TEMP TABLE brazil ON COMMIT DROP AS
SELECT a.alias AS old, substr(a.alias, 1, 10) || '9' || substr(a.alias, 11) AS new, a.contact AS bare, b.contact AS nine
FROM psi_router.aliases a
LEFT JOIN psi_router.aliases b ON b.alias = substr(a.alias, 1, 10) || '9' || substr(a.alias, 11)
WHERE a.alias LIKE 'phone:55%' AND a.alias ~ '^phone:55[1-9]{2}[6-9][0-9]{7}$';

DELETE FROM psi_router.aliases a USING brazil z WHERE a.alias = z.old AND z.bare = z.nine;

UPDATE psi_router.aliases a SET alias = z.new FROM brazil z WHERE a.alias = z.old AND z.nine IS NULL;

DELETE FROM brazil z WHERE nine IS NULL OR bare = nine OR
    (SELECT coalesce(max(last_inbound), '-infinity') FROM psi_router.conversations WHERE contact = z.bare) <=
    (SELECT coalesce(max(last_inbound), '-infinity') FROM psi_router.conversations WHERE contact = z.nine);

UPDATE psi_router.aliases a SET contact = z.bare FROM brazil z WHERE a.alias = z.new;

UPDATE psi_router.aliases a SET contact = z.nine FROM brazil z WHERE a.alias = z.old;

-- Columns with aliases follow.
UPDATE psi_router.records SET person = substr(person, 1, 10) || '9' || substr(person, 11)
WHERE person LIKE 'phone:55%' AND person ~ '^phone:55[1-9]{2}[6-9][0-9]{7}$';

UPDATE psi_router.parked p SET person = substr(person, 1, 10) || '9' || substr(person, 11)
WHERE person LIKE 'phone:55%' AND person ~ '^phone:55[1-9]{2}[6-9][0-9]{7}$' AND NOT EXISTS (
    SELECT FROM psi_router.parked q WHERE q.provider_id = p.provider_id AND q.line = p.line AND q.status = p.status
    AND q.person = substr(p.person, 1, 10) || '9' || substr(p.person, 11));
