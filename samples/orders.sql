/* Orders of a small shop: tables, the indexes they need, and the monthly report. */

CREATE TABLE customers (
    customer_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    email       text NOT NULL UNIQUE,
    created_at  timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE orders (
    order_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    customer_id bigint NOT NULL REFERENCES customers,
    state       text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'paid', 'shipped', 'cancelled')),
    total_cents integer NOT NULL CHECK (total_cents >= 0),
    created_at  timestamptz NOT NULL DEFAULT now()
);

-- PostgreSQL makes no index for the referencing side of a foreign key.
CREATE INDEX orders_by_customer ON orders (customer_id, created_at DESC);

-- Few orders are open at any time: a partial index stays small.
CREATE INDEX orders_open ON orders (created_at) WHERE state = 'open';

-- Revenue by month, with the change against the month before.
WITH monthly AS (
    SELECT date_trunc('month', created_at) AS month,
           count(*)                        AS orders,
           sum(total_cents) / 100.0        AS revenue
    FROM orders
    WHERE state IN ('paid', 'shipped')
    GROUP BY 1
)
SELECT month,
       orders,
       revenue,
       revenue - lag(revenue) OVER (ORDER BY month) AS change,
       round(100 * revenue / nullif(lag(revenue) OVER (ORDER BY month), 0) - 100, 1) AS change_percent
FROM monthly
ORDER BY month DESC
LIMIT 12;
