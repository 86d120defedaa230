-- +goose Up
-- Whether a file waits to be fetched. Read as text: ->> refuses some names of files. The
-- text of a json value does not change.
CREATE FUNCTION psi_router.fetching(media json) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT position('"state":"pending"' IN media::text) > 0 $$;
CREATE INDEX messages_fetching ON psi_router.messages (created_at, n) WHERE media IS NOT NULL AND psi_router.fetching(media);
