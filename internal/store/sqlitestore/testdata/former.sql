-- A store of schema 8: see storetest.Former. Every tenth person has a Brazilian phone
-- with the ninth digit; the next one has none, and every
-- other time the same number.
INSERT INTO contacts (n, id, phone, name, blocked, opted_out, created_at)
WITH RECURSIVE i (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < 20000)
SELECT n, 'c' || n,
    CASE WHEN n % 10 = 0 THEN '55119' || (80000000 + n) WHEN n % 20 = 1 THEN '5511' || (80000000 + n - 1)
        WHEN n % 10 = 1 THEN '5511' || (80000000 + n) ELSE '54911' || printf('%08d', n) END,
    'Persona ' || n, n % 1000 = 7, n % 100 IN (7, 11, 15), (unixepoch('now') - 90 * 86400) * 1000000
FROM i;

INSERT INTO aliases (alias, contact) SELECT 'phone:' || phone, n FROM contacts;

INSERT INTO conversations (n, id, contact, line, state, area, tag, ticket, menu, epoch, last_inbound, last_human,
    timeout_at, to_phone, seq, last_message_at, created_at)
SELECT n, 'v' || n, n, 'wsp4',
    CASE n % 5 WHEN 0 THEN 'handed_off' WHEN 1 THEN 'closed' ELSE 'menu' END,
    CASE n % 5 WHEN 0 THEN 'ventas' ELSE '' END,
    CASE n % 5 WHEN 0 THEN 'otra' ELSE '' END,
    CASE n % 5 WHEN 0 THEN 'PSI-2026-' || n ELSE '' END,
    CASE WHEN n % 5 > 1 THEN 'principal' ELSE '' END,
    n % 7, t, CASE WHEN n % 700 = 7 THEN t + 3600000000 WHEN n % 5 < 2 THEN t - 3600000000 ELSE 0 END,
    CASE n % 5 WHEN 0 THEN (unixepoch('now') + 86400) * 1000000 ELSE 0 END, phone, 10, t, created_at
FROM (SELECT *, (unixepoch('now') - CASE n / 100 % 2 WHEN 0 THEN 2 ELSE 30 END * 86400) * 1000000 AS t FROM contacts);

INSERT INTO tickets (ticket, conversation, area, tag, opened_at)
SELECT ticket, n, area, tag, last_inbound FROM conversations WHERE ticket <> '';

INSERT INTO handoffs (conversation, ticket, from_area, area, by, at)
WITH h (k, was, area, rest) AS (VALUES (1, '', 'ventas', 0), (2, '', 'alumnos', 1), (3, 'alumnos', 'admin', 1))
SELECT c.n, 'PSI-2026-' || c.n, h.was, h.area, 'router', c.last_inbound
FROM conversations c JOIN h ON c.n % 5 = h.rest ORDER BY c.n, h.k;

-- Messages of the person and of ours in turns; some of the last ones have not been sent.
INSERT INTO messages (conversation, id, direction, author, type, text, body, provider_id, origin, status, reason, epoch,
    since, sent_at, received_at, created_at, raw)
WITH RECURSIVE turn (k) AS (SELECT 1 UNION ALL SELECT k + 1 FROM turn WHERE k < 10),
    m AS (SELECT c.n, k, c.epoch, c.last_inbound AS t, p.opted_out, k % 2 = 1 AS inbound,
        CASE WHEN k % 2 = 1 THEN 'received' WHEN k < 10 THEN 'delivered' WHEN c.n % 50 = 3 THEN 'queued'
            WHEN c.n % 50 = 4 THEN 'uncertain' ELSE 'read' END AS status
        FROM conversations c JOIN contacts p ON p.n = c.contact, turn)
SELECT n, 'm' || n || '-' || k, CASE WHEN inbound THEN 'inbound' ELSE 'outbound' END,
    CASE WHEN inbound THEN 'contact' ELSE 'router' END, 'text', 'Mensaje ' || k,
    CASE WHEN inbound THEN '' ELSE '{"text":"¡Hola! 👋"}' END,
    CASE WHEN status NOT IN ('queued', 'uncertain') THEN 'wamid.' || n || '-' || k END,
    CASE WHEN inbound THEN 'message@wsp4' END, status,
    CASE WHEN opted_out THEN 'opted_out' ELSE 'menu_choice' END, epoch,
    CASE WHEN status IN ('queued', 'uncertain') THEN t ELSE 0 END,
    t, t, t, CASE WHEN inbound THEN x'7b7d' END
FROM m ORDER BY n, k;

INSERT INTO lines (line, last_inbound) VALUES ('wsp4', unixepoch('now') * 1000000);
