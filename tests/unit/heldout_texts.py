"""Ten labelled texts that nothing was ever tuned on: what a concept's quality is on texts that nobody looked at.

Written after the thirty of the guard set had been worked on, and measured once before and once after. Do not improve
anything by looking at them; write new ones when these are spent.
"""

from __future__ import annotations

from typing import Final

from tests.unit.labelled_documents import Labelled

HELD_OUT: Final[tuple[Labelled, ...]] = (
    Labelled(
        "Choosing a bicycle lock",
        "text",
        """\
A bicycle lock is only as good as what it is locked to. U-locks resist bolt cutters better than cables, and
chain locks are flexible but heavy. Lock the frame and the rear wheel to a fixed bike rack; take the front
wheel along if it has a quick release. Angle grinders cut any lock in minutes, so insurance asks for a
security rating instead of a promise. Folding locks are a compromise between weight and reach. Register the
frame number with the police.
""",
        (
            "bicycle lock|lock",
            "u-lock",
            "bolt cutter",
            "chain lock",
            "rear wheel",
            "bike rack|fixed bike rack",
            "quick release",
            "angle grinder",
            "insurance",
            "security rating",
            "folding lock",
            "frame number",
        ),
    ),
    Labelled(
        "ADR 12: message broker",
        "markdown",
        """\
# ADR 12: message broker

## Context
Orders are sent between services by HTTP calls that time out under load. We need asynchronous messaging.

## Decision
We use RabbitMQ with quorum queues. Consumers acknowledge a message after the work is done. Messages that fail
five times go to a dead letter exchange. Kafka was considered: its consumer groups and log compaction are
attractive, but nobody here has run it.

## Consequences
Delivery is at least once, so every consumer must be idempotent. Monitoring watches queue length and consumer
lag.

""",
        (
            "rabbitmq",
            "quorum queue",
            "asynchronous messaging|message broker",
            "consumer",
            "dead letter exchange",
            "kafka",
            "consumer group",
            "log compaction",
            "queue length",
            "consumer lag",
        ),
    ),
    Labelled(
        "Photosynthesis",
        "pdf",
        """\
Photosynthesis

Plants turn light into chemical energy in their chloroplasts. The light reactions take place in the thylakoid
membrane: photosystem II splits water, oxygen is released, and electrons pass along an electron transport
chain to photosystem I. The gradient of protons drives ATP synthase. In the Calvin cycle the enzyme RuBisCO
fixes carbon dioxide, using ATP and NADPH from the light reactions. C4 plants such as maize concentrate carbon
dioxide first and lose less to photorespiration.

3

""",
        (
            "photosynthesis",
            "chloroplast",
            "light reaction",
            "thylakoid membrane",
            "photosystem ii|photosystem",
            "electron transport chain",
            "atp synthase",
            "calvin cycle",
            "rubisco",
            "carbon dioxide",
            "photorespiration",
            "c4 plant",
        ),
    ),
    Labelled(
        "csv_report.py",
        "code",
        '''\
"""Reads sales from a CSV file and writes a monthly report with pandas and matplotlib."""
import argparse
import pandas as pd
import matplotlib.pyplot as plt


def load_sales(path):
    """Parse dates and drop rows without an amount."""
    frame = pd.read_csv(path, parse_dates=["date"])
    return frame.dropna(subset=["amount"])


def monthly_totals(frame):
    # resample to calendar months; missing months become zero
    return frame.set_index("date")["amount"].resample("MS").sum()


def plot_bar_chart(totals, output):
    totals.plot.bar()
    plt.savefig(output)

''',
        (
            "python",
            "pandas",
            "matplotlib",
            "csv|csv file",
            "monthly report",
            "bar chart",
            "monthly total",
            "sales",
        ),
    ),
    Labelled(
        "Divorce and the family home",
        "text",
        """\
When a marriage ends, the family home is often the largest asset. Courts look first at the welfare of minor
children. A consent order makes an agreement binding; without one, either spouse may come back years later
with a financial claim. Options are a sale, a transfer of equity in which one partner buys out the other, or a
deferred sale until the youngest child leaves school. The mortgage lender must agree to a transfer. Mediation
is cheaper than a contested hearing. Pensions can be shared by a pension sharing order.
""",
        (
            "divorce",
            "family home",
            "consent order",
            "financial claim",
            "transfer of equity|equity",
            "deferred sale",
            "mortgage lender|mortgage",
            "mediation",
            "contested hearing",
            "pension sharing order|pension",
            "minor child",
        ),
    ),
    Labelled(
        "",
        "mail",
        """\
From: Priya Nair <priya@example.org>
To: team@example.org
Date: Mon, 8 Apr 2024 10:02:00 +0200
Subject: Re: flaky login test

Hi all,

I've looked into the flaky login test. It isn't the browser: the session cookie expires while the test waits
for the two-factor code, because the CI runner's clock drifts. I'd suggest we mock the clock in the test suite
and raise the session timeout in staging. Playwright's trace viewer shows the redirect loop nicely.

Thanks,
Priya

--
Priya Nair | QA Engineer | +91 98 1234 5678

""",
        (
            "login test|flaky login test",
            "session cookie",
            "two-factor code|two-factor",
            "ci runner",
            "session timeout",
            "playwright",
            "trace viewer",
            "redirect loop",
            "test suite",
            "clock",
        ),
    ),
    Labelled(
        "Stoicism in three letters",
        "epub",
        """\
CHAPTER IV

Seneca wrote his letters to Lucilius near the end of his life. Stoicism, he says, is training for freedom: we
suffer more in imagination than in reality. The stoic separates what is in our power, judgement and intention,
from what is not, wealth and reputation. Marcus Aurelius, the emperor, kept a private notebook, the
Meditations, in which he reminds himself of death every morning. Epictetus, born a slave, taught that virtue
is the only good. Negative visualization, imagining a loss before it comes, is the exercise best known today.

""",
        (
            "stoicism",
            "seneca",
            "lucilius|letter",
            "marcus aurelius",
            "meditations",
            "epictetus",
            "virtue",
            "negative visualization",
            "freedom",
            "death",
        ),
    ),
    Labelled(
        "Kubernetes probes",
        "html",
        """\
Docs > Concepts > Probes

Kubernetes probes

A liveness probe tells the kubelet when to restart a container. A readiness probe decides whether a pod
receives traffic from the service. Slow applications need a startup probe, so that the liveness probe does not
kill them while they load. Probes are HTTP requests, TCP connections or commands. Set a timeout and a failure
threshold: too strict a probe turns a short garbage collection pause into a restart loop. Use rolling updates
with readiness probes for zero downtime.

Was this page helpful? Yes No
Copyright 2024 Example Inc. Privacy Terms

""",
        (
            "kubernetes",
            "liveness probe",
            "readiness probe",
            "startup probe",
            "kubelet",
            "failure threshold",
            "restart loop",
            "rolling update",
            "zero downtime",
            "container",
            "pod",
            "garbage collection",
        ),
    ),
    Labelled(
        "Sourcing coffee",
        "transcript",
        """\
So, um, let's talk about green coffee. We buy from a cooperative in Huila, right, that's Colombia, and the
thing with washed coffees is they're clean, you know, very clear acidity. Natural processing is different, the
cherry dries with the fruit on, so you get more body and, like, berry notes. We cup every lot when it arrives,
cupping is basically how you grade it, and anything over eighty-six points we sell as single origin. The rest
goes into the espresso blend. Okay, and moisture, that's important, if the moisture content's over twelve
percent you'll get mould.
""",
        (
            "green coffee",
            "cooperative",
            "washed coffee",
            "acidity",
            "natural processing",
            "cupping",
            "single origin",
            "espresso blend",
            "moisture content|moisture",
            "colombia|huila",
            "mould",
        ),
    ),
    Labelled(
        "Wärmedämmung im Altbau",
        "text",
        """\
Bei der Wärmedämmung eines Altbaus kommt zuerst das Dach an die Reihe, denn dort geht die meiste Wärme
verloren. Die Zwischensparrendämmung füllt den Raum zwischen den Sparren mit Mineralwolle oder Zellulose. Eine
Dampfbremse verhindert, dass Feuchtigkeit in die Dämmung gelangt. Die Fassade bekommt ein
Wärmedämmverbundsystem, wenn der Denkmalschutz es erlaubt; sonst hilft eine Innendämmung. Neue Fenster ohne
gedämmte Wände führen leicht zu Schimmel. Ein Energieberater erstellt den Sanierungsfahrplan.
""",
        (
            "wärmedämmung",
            "altbau",
            "dach",
            "zwischensparrendämmung",
            "mineralwolle",
            "dampfbremse",
            "fassade",
            "wärmedämmverbundsystem",
            "denkmalschutz",
            "innendämmung",
            "schimmel",
            "energieberater",
            "sanierungsfahrplan",
        ),
    ),
)
