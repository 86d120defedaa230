-- +goose Up
-- Files that wait to be fetched. As text, since not every media is JSON: '' is none.
CREATE INDEX messages_fetching ON messages (created_at) WHERE instr(media, '"state":"pending"') > 0;
