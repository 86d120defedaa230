-- +goose Up
-- A row for each connection of each process, which every writing transaction changes. A row
-- that is not where its process left it shows that the database is an older one.
CREATE TABLE psi_router.witnesses (
    process text NOT NULL,
    slot bigint NOT NULL,
    n bigint NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (process, slot)
) WITH (fillfactor = 50);

-- The server and its incarnation: the time line of its log, its start time, the database,
-- and the file of witnesses. Another answer only means that lost commits have to be looked
-- for. A promoted standby knows its time line at once by the name of the log's file, and
-- minutes later by its control file. In plpgsql, whose plans are cached: in SQL each
-- transaction would plan it again.
-- +goose StatementBegin
CREATE FUNCTION psi_router.server() RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8) || '.' ||
        (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint || '.' ||
        (SELECT oid FROM pg_database WHERE datname = current_database()) || '.' ||
        coalesce(pg_relation_filenode('psi_router.witnesses'), 0);
END
$$;
-- +goose StatementEnd

-- refuse ends a transaction with an error of ours; what is its message.
-- +goose StatementBegin
CREATE FUNCTION psi_router.refuse(state text, what text) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = state, MESSAGE = what;
END
$$;
-- +goose StatementEnd
