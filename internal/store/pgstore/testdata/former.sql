-- A store of schema 10: see storetest.Former. Every tenth person has a Brazilian phone
-- with the ninth digit; the next one has none, and every
-- other time the same number.
INSERT INTO contacts (n, id, phone, name, blocked, opted_out, created_at)
SELECT i, 'c' || i,
    CASE WHEN i % 10 = 0 THEN '55119' || (80000000 + i) WHEN i % 20 = 1 THEN '5511' || (80000000 + i - 1)
        WHEN i % 10 = 1 THEN '5511' || (80000000 + i) ELSE '54911' || lpad(i::text, 8, '0') END,
    'Persona ' || i, i % 1000 = 7, i % 100 IN (7, 11, 15), now() - interval '90 days'
FROM generate_series(1, 20000) i;

INSERT INTO aliases (alias, contact) SELECT 'phone:' || phone, n FROM contacts;

INSERT INTO conversations (n, id, contact, line, state, area, tag, ticket, menu, epoch, last_inbound, last_human,
    timeout_at, to_phone, seq, last_message_at, created_at)
SELECT c.n, 'v' || c.n, c.n, 'wsp4',
    CASE c.n % 5 WHEN 0 THEN 'handed_off' WHEN 1 THEN 'closed' ELSE 'menu' END,
    CASE c.n % 5 WHEN 0 THEN 'ventas' ELSE '' END,
    CASE c.n % 5 WHEN 0 THEN 'otra' ELSE '' END,
    CASE c.n % 5 WHEN 0 THEN 'PSI-2026-' || c.n ELSE '' END,
    CASE WHEN c.n % 5 > 1 THEN 'principal' ELSE '' END,
    c.n % 7, a.t, CASE WHEN c.n % 700 = 7 THEN a.t + interval '1 hour' WHEN c.n % 5 < 2 THEN a.t - interval '1 hour' END,
    CASE c.n % 5 WHEN 0 THEN now() + interval '1 day' END, c.phone, 10, a.t, c.created_at
FROM contacts c, LATERAL (SELECT now() - CASE c.n / 100 % 2 WHEN 0 THEN interval '2 days' ELSE interval '30 days' END AS t) a;

INSERT INTO tickets (ticket, conversation, area, tag, opened_at)
SELECT ticket, n, area, tag, last_inbound FROM conversations WHERE ticket <> '';

INSERT INTO handoffs (conversation, ticket, from_area, area, by, at)
SELECT c.n, 'PSI-2026-' || c.n, h.was, h.area, 'router', c.last_inbound
FROM conversations c, (VALUES (1, '', 'ventas', 0), (2, '', 'alumnos', 1), (3, 'alumnos', 'admin', 1)) AS h (k, was, area, rest)
WHERE c.n % 5 = h.rest ORDER BY c.n, h.k;

-- Messages of the person and of ours in turns; some of the last ones have not been sent.
INSERT INTO messages (conversation, id, direction, author, type, text, body, provider_id, origin, status, reason, epoch,
    since, sent_at, received_at, created_at, raw)
SELECT c.n, 'm' || c.n || '-' || k, d.direction, CASE d.direction WHEN 'inbound' THEN 'contact' ELSE 'router' END, 'text',
    'Mensaje ' || k, CASE d.direction WHEN 'outbound' THEN '{"text":"¡Hola! 👋"}'::json END,
    CASE WHEN d.status NOT IN ('queued', 'uncertain') THEN 'wamid.' || c.n || '-' || k END,
    CASE d.direction WHEN 'inbound' THEN 'message@wsp4' END, d.status,
    CASE WHEN p.opted_out THEN 'opted_out' ELSE 'menu_choice' END, c.epoch,
    CASE WHEN d.status IN ('queued', 'uncertain') THEN c.last_inbound END,
    c.last_inbound, c.last_inbound, c.last_inbound, CASE d.direction WHEN 'inbound' THEN '\x7b7d'::bytea END
FROM conversations c JOIN contacts p ON p.n = c.contact, generate_series(1, 10) k,
    LATERAL (SELECT CASE k % 2 WHEN 1 THEN 'inbound' ELSE 'outbound' END AS direction,
        CASE WHEN k % 2 = 1 THEN 'received' WHEN k < 10 THEN 'delivered' WHEN c.n % 50 = 3 THEN 'queued'
            WHEN c.n % 50 = 4 THEN 'uncertain' ELSE 'read' END AS status) d
ORDER BY c.n, k;

INSERT INTO pending (conversation, n, since, doubt)
SELECT conversation, n, since, status = 'uncertain' FROM messages WHERE status IN ('queued', 'uncertain');

INSERT INTO lines (line, last_inbound) VALUES ('wsp4', now());
-- Keys of the next rows.
SELECT setval('keys', 100000);
