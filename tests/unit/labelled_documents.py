"""Eighteen more labelled texts, of the kinds that people really keep: minutes, code, contracts, transcripts, scans.

Text and concepts were written, and committed, before any output on them was seen. With the twelve of `labelled_texts`
they are the guard set of concepts.
"""

from __future__ import annotations

from typing import NamedTuple


class Labelled(NamedTuple):
    """One text with its concepts, lower case; alternatives are separated by "|"."""

    title: str
    kind: str
    text: str
    expected: tuple[str, ...]


DOCUMENTS: tuple[Labelled, ...] = (
    Labelled(
        "minutes_2024-03-14.docx",
        "docx",
        """\
Minutes of the meeting of 14 March 2024

Present: Anna Berg, Tom Okafor, Li Wei. Apologies: Marta Ruiz.

1. Approval of the minutes
The minutes of the last meeting were approved.

2. Roof repair
Tom got three quotes for the roof repair. The cheapest is 18,400 euros and includes new gutters. The tenants will be
told that scaffolding stands in the yard for three weeks. The board decides on the quotes by 1 April.

3. Heating costs
The heating bill rose by 22 %. Anna proposes a heat pump; the energy consultant will calculate the savings. A subsidy
of 30 % is possible if the application comes before the contract.

4. Any other business
Bicycles must not stand in the stairwell (fire safety). Next meeting: 11 April, 19:00.

Page 1 of 1
""",
        (
            "roof repair|roof",
            "quote",
            "gutter|new gutter",
            "scaffolding",
            "heating cost|heating bill",
            "heat pump",
            "subsidy",
            "fire safety",
            "energy consultant",
        ),
    ),
    Labelled(
        "debounce.js",
        "code",
        """\
// Debounce and throttle for event handlers in the browser.
import { useEffect, useRef } from "react";

/**
 * Calls a function once the events have stopped for `wait` milliseconds.
 * Used for the search box, so that not every keystroke sends a request.
 */
export function debounce(callback, wait = 200) {
  let timer = null;
  return (...args) => {
    clearTimeout(timer);
    timer = setTimeout(() => callback(...args), wait);
  };
}

/** Calls a function at most once per animation frame: for scroll handlers. */
export function throttle(callback) {
  let queued = false;
  return (...args) => {
    if (queued) return;
    queued = true;
    requestAnimationFrame(() => { queued = false; callback(...args); });
  };
}

export function useDebounce(callback, wait) {
  const saved = useRef(callback);
  useEffect(() => { saved.current = callback; }, [callback]);
  return useRef(debounce((...args) => saved.current(...args), wait)).current;
}
""",
        (
            "javascript",
            "react",
            "debounce",
            "throttle",
            "event handler",
            "animation frame",
            "scroll handler",
            "search box",
        ),
    ),
    Labelled(
        "Tenancy agreement",
        "pdf",
        """\
TENANCY AGREEMENT

This Agreement is made between the Landlord and the Tenant for the Property at 12 Mill Lane.

1. Term. The fixed term is twelve months from 1 September. After the fixed term the tenancy continues as a monthly
periodic tenancy until either party gives notice.

2. Rent. The rent is 950 pounds a month, payable in advance by standing order. Interest is charged on late payment.

3. Deposit. The Tenant pays a security deposit of five weeks' rent. The Landlord protects the deposit in an approved
deposit protection scheme within thirty days. Deductions may be made for damage beyond fair wear and tear.

4. Repairs. The Landlord keeps the structure, heating and sanitary installations in repair. The Tenant reports
defects without delay.

5. Subletting. The Tenant shall not sublet or assign the tenancy without written consent.

6. Notice period. The notice period is one month for the Tenant and two months for the Landlord.

Page 1                                            Initials: ______
""",
        (
            "tenancy agreement|tenancy",
            "landlord",
            "tenant",
            "fixed term",
            "rent",
            "security deposit|deposit",
            "deposit protection scheme|deposit protection",
            "notice period",
            "wear and tear|fair wear and tear|wear",
            "standing order",
        ),
    ),
    Labelled(
        "lecture-07.vtt",
        "transcript",
        """\
Okay, so welcome back everybody. Um, last time we, we looked at supply and demand, right, and today I want to talk
about elasticity. So what's elasticity? It's basically, you know, how much does the quantity react when the price
changes. So think of insulin. If the price of insulin goes up, people still buy it, they don't have a choice, right?
That's inelastic demand. And now think of, I don't know, a certain brand of coffee. If that gets more expensive, you
just buy another brand, a substitute. So demand's elastic there. And so, um, if you're a government and you want tax
revenue, you'd rather tax something with inelastic demand, like tobacco, because the quantity doesn't fall that much.
There's a thing called the deadweight loss, we'll get to that, it's the trades that don't happen because of the tax.
And the tax incidence, so who really pays the tax, the buyer or the seller, that depends on the elasticity as well.
Alright, so let's do an example on the board.
""",
        (
            "elasticity|price elasticity",
            "supply and demand|supply|demand",
            "inelastic demand",
            "substitute",
            "tax revenue",
            "deadweight loss",
            "tax incidence",
            "insulin",
        ),
    ),
    Labelled(
        "incident-report.md",
        "markdown",
        """\
# Incident 2023-11-02: checkout down for 47 minutes

## Summary

A database migration took an exclusive lock on the `orders` table. Requests piled up until the connection pool was
exhausted, and the checkout service answered 503.

## Timeline

- 09:12 migration starts on db-primary-1.prod.example.com
- 09:14 alert: error rate above 5 %
- 09:31 on-call engineer kills the migration
- 09:59 error rate back to normal

## Root cause

`ALTER TABLE orders ADD COLUMN note text DEFAULT ''` rewrote the table in PostgreSQL 10. The lock timeout was not set.

## Action items

- Set `lock_timeout` for every database migration.
- Limit the size of the connection pool per service.
- Add a load test of migrations to the staging environment.

See https://status.example.com/incidents/2023-11-02 and #inc-checkout.
""",
        (
            "database migration|migration",
            "exclusive lock",
            "connection pool",
            "postgresql",
            "lock timeout",
            "root cause",
            "load test",
            "error rate",
            "incident",
        ),
    ),
    Labelled(
        "How to prune an apple tree",
        "html",
        """\
Home | Blog | Shop | Contact

How to prune an apple tree

Posted on 12 February by Helen · 14 comments

Prune apple trees in late winter, when the tree is dormant and the worst frost is over. Begin with dead, diseased and
crossing branches. Then take out water shoots, the vertical shoots that grow from the main branches and carry no
fruit. Aim for an open centre, so that light and air reach every branch: this prevents apple scab and mildew. Cut
just above an outward-facing bud, at a slant, so that rain runs off. Never remove more than a quarter of the crown in
one year, or the tree answers with even more water shoots. Summer pruning, in August, slows a tree that grows too
strongly. Use sharp secateurs for twigs and a pruning saw for branches.

Share this post: Facebook Twitter Pinterest

Related posts: Planting bare-root roses · Making compost

© 2024 The Kitchen Garden. All rights reserved. Privacy policy. Cookies.
""",
        (
            "apple tree",
            "pruning|prune|summer pruning",
            "water shoot",
            "open centre",
            "apple scab",
            "bud|outward-facing bud",
            "secateur|sharp secateur",
            "pruning saw",
            "mildew",
            "crown",
        ),
    ),
    Labelled(
        "graph.go",
        "code",
        """\
// Package graph finds shortest paths in weighted graphs.
package graph

import (
	"container/heap"
	"errors"
	"math"
)

// ErrNegativeWeight is returned for an edge of negative weight: Dijkstra's algorithm needs weights of zero or more.
var ErrNegativeWeight = errors.New("negative weight")

// Edge is a directed edge of the adjacency list.
type Edge struct {
	To     int
	Weight float64
}

// ShortestPath returns the distances from source to every node, with a priority queue (a binary heap).
func ShortestPath(adjacency [][]Edge, source int) ([]float64, error) {
	distance := make([]float64, len(adjacency))
	for node := range distance {
		distance[node] = math.Inf(1)
	}
	distance[source] = 0
	queue := &priorityQueue{{node: source}}
	for queue.Len() > 0 {
		current := heap.Pop(queue).(item)
		for _, edge := range adjacency[current.node] {
			if edge.Weight < 0 {
				return nil, ErrNegativeWeight
			}
			if next := distance[current.node] + edge.Weight; next < distance[edge.To] {
				distance[edge.To] = next
				heap.Push(queue, item{node: edge.To, distance: next})
			}
		}
	}
	return distance, nil
}
""",
        (
            "go",
            "shortest path",
            "dijkstra|dijkstra's algorithm|dijkstra algorithm",
            "weighted graph",
            "priority queue",
            "adjacency list|adjacency",
            "binary heap|heap",
            "negative weight",
            "directed edge|edge",
        ),
    ),
    Labelled(
        "Ibuprofen 400 mg film-coated tablets",
        "pdf",
        """\
Package leaflet: information for the patient

Ibuprofen is a non-steroidal anti-inflammatory drug (NSAID). It relieves mild to moderate pain, such as headache,
toothache and period pain, and lowers fever.

Do not take ibuprofen if you have had a stomach ulcer, if you have severe heart failure, or in the last three months
of pregnancy. Tell your doctor if you have asthma or high blood pressure.

Other medicines: ibuprofen may weaken the effect of low-dose aspirin. Blood thinners raise the risk of bleeding.

Dose: adults take one tablet every six hours, with food, and not more than three tablets in a day. Do not take it for
longer than three days without asking your doctor.

Side effects: common ones are heartburn, nausea and dizziness. Stop and see a doctor at once if you have black stools
or a skin rash.

Batch No. / EXP: see box. Keep out of the sight and reach of children.
""",
        (
            "ibuprofen",
            "non-steroidal anti-inflammatory drug|anti-inflammatory drug|nsaid",
            "side effect",
            "stomach ulcer",
            "blood thinner",
            "pregnancy",
            "pain|period pain|moderate pain",
            "fever",
            "aspirin|low-dose aspirin",
            "dose",
        ),
    ),
    Labelled(
        "The printing press",
        "epub",
        """\
CHAPTER TWO

The printing press

Around 1450 Johannes Gutenberg, a goldsmith of Mainz, cast movable type from an alloy of lead, tin and antimony. Each
letter was cast in a hand mould, so that all pieces of type had the same height. Oil-based ink stuck to the metal
better than the water-based ink of woodcuts. The press itself was a screw press like those of the wine growers. The
Gutenberg Bible, forty-two lines to a page, was finished by 1455. Within fifty years there were printers in more than
two hundred towns, and some twenty million books had been made: the incunabula. Prices of books fell, literacy rose,
and pamphlets carried the Reformation through Germany faster than any bishop could answer. Aldus Manutius in Venice
printed small books that could be carried about, and gave us italic type.

27
""",
        (
            "printing press|press",
            "johannes gutenberg|gutenberg",
            "movable type",
            "hand mould",
            "gutenberg bible",
            "incunabula",
            "literacy",
            "reformation",
            "aldus manutius",
            "oil-based ink|ink",
            "italic type",
        ),
    ),
    Labelled(
        "docker-compose.yml",
        "code",
        """\
# Compose file for local development: web server, worker, database and cache.
services:
  web:
    build: .
    command: gunicorn shop.wsgi --bind 0.0.0.0:8000
    ports: ["8000:8000"]
    depends_on: [database, cache]
    environment:
      DATABASE_URL: postgres://shop:shop@database:5432/shop
  worker:
    build: .
    # Celery runs background tasks: mails and image thumbnails.
    command: celery -A shop worker --concurrency 4
    depends_on: [cache]
  database:
    image: postgres:16
    volumes: ["data:/var/lib/postgresql/data"]
    healthcheck:
      test: pg_isready -U shop
  cache:
    image: redis:7
volumes:
  data:
""",
        (
            "docker compose|compose|compose file",
            "postgresql",
            "redis",
            "celery",
            "gunicorn",
            "web server",
            "background task",
            "local development",
        ),
    ),
    Labelled(
        "Die Photovoltaikanlage auf dem Dach",
        "text",
        """\
Eine Photovoltaikanlage wandelt Sonnenlicht in Strom um. Die Solarmodule erzeugen Gleichstrom, den ein Wechselrichter
in Wechselstrom verwandelt. Was im Haushalt nicht verbraucht wird, fließt ins Stromnetz; dafür gibt es eine
Einspeisevergütung. Ein Batteriespeicher erhöht den Eigenverbrauch von etwa dreißig auf bis zu siebzig Prozent. Am
meisten Ertrag bringt ein Süddach mit dreißig Grad Neigung, aber auch Ostdächer und Westdächer lohnen sich. Wer eine
Wärmepumpe oder ein Elektroauto hat, kann den Strom vom Dach besonders gut nutzen. Die Anlage muss im
Marktstammdatenregister angemeldet werden.
""",
        (
            "photovoltaikanlage",
            "solarmodul|solarmodule",
            "wechselrichter",
            "einspeisevergütung",
            "batteriespeicher",
            "eigenverbrauch",
            "wärmepumpe",
            "elektroauto",
            "stromnetz",
            "gleichstrom",
            "strom",
        ),
    ),
    Labelled(
        "queries.sql",
        "code",
        """\
-- Monthly revenue per customer segment, for the sales dashboard.
WITH monthly AS (
    SELECT date_trunc('month', o.ordered_at) AS month,
           c.segment,
           sum(l.quantity * l.unit_price) AS revenue
    FROM orders o
    JOIN order_lines l ON l.order_id = o.id
    JOIN customers c ON c.id = o.customer_id
    WHERE o.status <> 'cancelled'
    GROUP BY 1, 2
)
SELECT month,
       segment,
       revenue,
       -- window function: change against the month before
       revenue - lag(revenue) OVER (PARTITION BY segment ORDER BY month) AS change
FROM monthly
ORDER BY month, segment;

-- Cohort retention: customers who order again within ninety days.
CREATE MATERIALIZED VIEW retention AS
SELECT first_month, count(DISTINCT customer_id) AS customers
FROM first_orders
GROUP BY first_month;
""",
        (
            "sql",
            "monthly revenue|revenue",
            "customer segment|segment",
            "window function",
            "cohort retention|retention",
            "materialized view",
            "sales dashboard",
        ),
    ),
    Labelled(
        "Quarterly letter to shareholders",
        "pdf",
        """\
Dear shareholders,

Revenue in the third quarter grew 9 % to 412 million dollars. The growth came from the subscription business, where
annual recurring revenue passed one billion for the first time and churn fell to 1.1 % a month. Gross margin improved
by two points because of lower hosting costs. Operating income was 61 million dollars.

We bought back 35 million dollars of our own shares. The board has approved a dividend of 0.40 dollars per share.

The guidance for the full year is unchanged. Exchange rates remain a risk: a stronger dollar lowers the revenue that
we report from Europe and Japan. We continue to invest in artificial intelligence and have opened a research centre in
Toronto.

Sincerely,
Margaret Hale
Chief Executive Officer

Forward-looking statements: see page 12.
""",
        (
            "subscription business|subscription",
            "annual recurring revenue|recurring revenue",
            "churn",
            "gross margin",
            "operating income",
            "dividend",
            "guidance",
            "exchange rate",
            "artificial intelligence",
            "revenue",
        ),
    ),
    Labelled(
        "Attention in one page",
        "pdf",
        """\
Self-attention lets every token of a sequence look at every other token. Each token is mapped to a query, a key and a
value vector; the attention weights are the softmax of the scaled dot products of queries and keys. Multi-head
attention does this several times in parallel with different projections. Because attention itself knows no order,
positional encodings are added to the embeddings. The transformer stacks such layers with feed-forward networks,
residual connections and layer normalization. Training is parallel over the sequence, unlike that of recurrent
neural networks. The cost grows quadratically with the sequence length, which is why sparse attention and linear
attention have been proposed. BERT uses the encoder, GPT the decoder with a causal mask.

arXiv:2401.01234v2 [cs.CL] 3 Jan 2024
""",
        (
            "self-attention",
            "multi-head attention",
            "transformer",
            "positional encoding",
            "softmax",
            "layer normalization",
            "recurrent neural network",
            "sequence length",
            "sparse attention|linear attention",
            "attention weight",
            "bert",
            "gpt",
        ),
    ),
    Labelled(
        "",
        "mail",
        """\
From: Jonas Lindqvist <jonas.lindqvist@example.net>
To: support@example.com
Date: Tue, 5 Mar 2024 08:11:32 +0100
Subject: Invoice 2024-0117: wrong VAT rate

Hi there,

I've just received invoice 2024-0117. You've charged 25 % VAT, but we're a company in Finland, so the reverse charge
applies and the invoice should carry no Swedish VAT at all. Our VAT number is FI12345678. Could you please send a
credit note and a corrected invoice? Our accounting department can't book the payment before that. We'll pay within
thirty days as usual.

Many thanks and kind regards,

Jonas Lindqvist
Head of Purchasing

Lindqvist & Partners Oy | Mannerheimintie 5 | 00100 Helsinki
Tel: +358 40 123 4567 | www.lindqvist.example.net
This e-mail may contain confidential information. If you are not the intended recipient, please delete it.
""",
        (
            "invoice|wrong invoice|corrected invoice",
            "vat rate|vat|wrong vat rate",
            "reverse charge",
            "credit note",
            "vat number",
            "accounting department|accounting",
            "payment",
        ),
    ),
    Labelled(
        "Les volcans d'Auvergne",
        "text",
        """\
La chaîne des Puys compte environ quatre-vingts volcans alignés sur trente kilomètres. Le puy de Dôme, le plus haut,
est un dôme de lave qui s'est formé il y a onze mille ans. D'autres sont des cônes de scories avec un cratère au
sommet, comme le puy de Pariou. Les maars, remplis aujourd'hui par des lacs, sont nés de la rencontre du magma et de
l'eau. Les coulées de lave filtrent l'eau de pluie, qui ressort en sources minérales. La chaîne des Puys est inscrite
au patrimoine mondial de l'UNESCO depuis 2018.
""",
        (
            "chaîne des puys|puy|chaîne",
            "volcan",
            "puy de dôme|dôme",
            "dôme de lave|lave",
            "cône de scories|cône|scorie",
            "cratère",
            "maar",
            "magma",
            "patrimoine mondial|unesco",
            "source minérale|coulée",
        ),
    ),
    Labelled(
        "Choosing a tent",
        "text",
        """\
A three-season tent has a mesh inner tent against insects and a waterproof flysheet over it. The hydrostatic head, in
millimetres, says how much water the fabric holds back: 3,000 mm is plenty for the flysheet, the groundsheet needs
more. Condensation is the usual reason for a wet sleeping bag, not rain; open the vents and pitch away from water.
Geodesic tents cross their poles several times and stand up to wind, while tunnel tents give more room for the same
weight but must be pegged out well. Ripstop nylon is lighter than polyester and stretches when wet. For one person a
bivy bag is the lightest shelter.
""",
        (
            "three-season tent|tent",
            "flysheet|waterproof flysheet",
            "hydrostatic head",
            "groundsheet",
            "condensation",
            "geodesic tent",
            "tunnel tent",
            "ripstop nylon",
            "bivy bag",
            "sleeping bag|wet sleeping bag",
            "inner tent|mesh inner tent",
        ),
    ),
    Labelled(
        "Release notes 4.2",
        "markdown",
        """\
# Release notes 4.2

Released 2024-05-21. See the [upgrade guide](https://docs.example.org/upgrade/4.2/) before you upgrade.

## New

* Virtual threads: every request handler can run on a virtual thread (Java 21).
* OpenTelemetry tracing without an agent.
* HTTP/3 support behind the flag `server.http3.enabled`.

## Changed

* The default garbage collector is ZGC.
* Configuration properties are validated when the application starts.

## Deprecated

* `RestTemplateBuilder.setTimeout()` is deprecated and will be removed in 5.0.

## Fixed

* Memory leak in the connection pool (#8123, thanks to @kmuller)
* Race condition when the cache is refreshed (#8140)
* NullPointerException in the scheduler (#8177)

SHA-256: 3f79bb7b435b05321651daefd374cdc681dc06faa65e374e38337b88ca046dea
""",
        (
            "virtual thread",
            "java",
            "opentelemetry",
            "http/3|http",
            "garbage collector|zgc",
            "configuration property",
            "memory leak",
            "connection pool",
            "race condition",
            "release note",
        ),
    ),
)
