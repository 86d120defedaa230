-- +goose Up
-- The process that has the store alone, if queue and store are one process': a lease that
-- it renews. fence grows with every owner.
CREATE TABLE psi_router.owner (
    one     boolean     NOT NULL DEFAULT true PRIMARY KEY CHECK (one),
    fence   bigint      NOT NULL,
    holder  text        NOT NULL,
    expires timestamptz NOT NULL -- by the server's clock
);

-- The installation that was, or is being, moved in.
CREATE TABLE psi_router.move (
    one         boolean     NOT NULL DEFAULT true PRIMARY KEY CHECK (one),
    source      text        NOT NULL,
    started_at  timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz
);

-- How far the move of each table is: the last imported row.
CREATE TABLE psi_router.move_marks (
    name text   NOT NULL PRIMARY KEY,
    mark text   NOT NULL,
    rows bigint NOT NULL
);
