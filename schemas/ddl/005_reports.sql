-- Reports over `events` that the protocols call for.

-- A tracker conversion with a known transaction id and other amounts is stored, so that nobody can erase a
-- sale by guessing its id; the pairs are listed here.
CREATE VIEW IF NOT EXISTS transaction_conflicts $on_cluster AS
SELECT
    tenant_id,
    order_id AS transaction_id,
    event_name,
    groupUniqArray((value, currency)) AS amounts,
    uniqExact(event_id) AS events,
    min(received_at) AS first_received_at,
    max(received_at) AS last_received_at
FROM events
WHERE dialect = 'tracker' AND source = 'conversion' AND order_id != ''
GROUP BY tenant_id, order_id, event_name
HAVING length(amounts) > 1;

-- The same product of the same order bought twice, as far as relo says. Kept on purpose: two lines of an
-- order may be alike.
CREATE VIEW IF NOT EXISTS duplicate_orders $on_cluster AS
SELECT
    tenant_id,
    order_id,
    arrayJoin(product_ids) AS product_id,
    uniqExact(event_id) AS events,
    groupUniqArray(value) AS amounts,
    min(received_at) AS first_received_at,
    max(received_at) AS last_received_at
FROM events
WHERE dialect = 'relo' AND event_type = 'order_completed' AND order_id != ''
GROUP BY tenant_id, order_id, product_id
HAVING events > 1;
