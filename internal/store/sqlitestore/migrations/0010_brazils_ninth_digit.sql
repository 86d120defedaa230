-- +goose Up
-- A Brazilian mobile is one number with and without its 9, and its alias has it. If both
-- forms have a contact, the one who wrote last gets the alias; the other one keeps the old
-- alias, and is merged when the person writes again.
CREATE TABLE brazil AS
SELECT a.alias AS old, substr(a.alias, 1, 10) || '9' || substr(a.alias, 11) AS new, a.contact AS bare, b.contact AS nine
FROM aliases a LEFT JOIN aliases b ON b.alias = substr(a.alias, 1, 10) || '9' || substr(a.alias, 11)
WHERE a.alias GLOB 'phone:55[1-9][1-9][6-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]';

DELETE FROM aliases WHERE alias IN (SELECT old FROM brazil WHERE bare = nine);

UPDATE aliases SET alias = substr(alias, 1, 10) || '9' || substr(alias, 11) WHERE alias IN (SELECT old FROM brazil WHERE nine IS NULL);

DELETE FROM brazil WHERE nine IS NULL OR bare = nine OR
    (SELECT coalesce(max(last_inbound), 0) FROM conversations WHERE contact = bare) <=
    (SELECT coalesce(max(last_inbound), 0) FROM conversations WHERE contact = nine);

UPDATE aliases SET contact = z.bare FROM brazil z WHERE alias = z.new;

UPDATE aliases SET contact = z.nine FROM brazil z WHERE alias = z.old;

DROP TABLE brazil;

-- Columns with aliases follow.
UPDATE records SET person = substr(person, 1, 10) || '9' || substr(person, 11)
WHERE person <> '' AND person GLOB 'phone:55[1-9][1-9][6-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]';

UPDATE OR IGNORE parked SET person = substr(person, 1, 10) || '9' || substr(person, 11)
WHERE person GLOB 'phone:55[1-9][1-9][6-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]';
