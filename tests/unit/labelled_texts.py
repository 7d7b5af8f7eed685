"""Texts written for these tests, with what a reader would say of them.

`KEYPHRASES`: a title, a kind, a text and the concepts that the text names, noted before any output was seen.
`TOPICS`: short documents by topic: a small library, which is the hard case for clustering.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Sequence

from chalicelib.knowledge.clusters import Centroid, founded, joined, nearest
from chalicelib.knowledge.concepts import extract_concepts
from chalicelib.knowledge.lexicon import key
from chalicelib.knowledge.terms import term_vector
from chalicelib.knowledge.tokens import singular
from tests.unit.labelled_documents import DOCUMENTS, Labelled

KEYPHRASES: tuple[Labelled, ...] = (
    Labelled(
        "Memory without a collector",
        "text",
        "Rust manages memory through ownership. Each value has one owner, and the value is freed when its"
        " owner leaves"
        " scope, so no garbage collector runs. References borrow a value: the borrow checker allows many"
        " shared"
        " references or a single mutable reference, never both. Lifetimes tell the compiler how long a"
        " reference stays"
        " valid. Because aliasing and mutation never meet, data races are compile-time errors. Smart"
        " pointers such as Rc"
        " and Arc add reference counting where a single owner is too strict.",
        (
            "rust",
            "ownership",
            "garbage collector|garbage collection",
            "borrow checker",
            "lifetime",
            "mutable reference",
            "data race",
            "smart pointer",
            "reference counting",
        ),
    ),
    Labelled(
        "trees.md",
        "markdown",
        "# Search trees\n\nA binary search tree keeps its keys in sorted order: smaller keys in the left"
        " subtree, larger"
        " ones in the right subtree. Insertion of sorted data makes it degenerate into a linked list.\n\n##"
        " Balancing\n\n"
        "Self-balancing trees avoid that. An AVL tree stores the height of each subtree and repairs the"
        " balance with"
        " tree rotations. A red-black tree colours its nodes and needs fewer rotations. B-trees have many"
        " keys in a node"
        " and suit disks; databases use them for their indexes.\n\n```python\ndef insert(root, key):\n   "
        " return root\n```\n",
        (
            "search tree|binary search tree",
            "avl tree",
            "red-black tree",
            "tree rotation|rotation",
            "b-tree",
            "linked list",
            "subtree|left subtree|right subtree",
            "self-balancing tree",
            "python",
        ),
    ),
    Labelled(
        "Why sourdough rises",
        "text",
        "A sourdough starter is a stable culture of wild yeast and lactic acid bacteria. The yeast produces"
        " carbon dioxide,"
        " which the gluten network holds, and the bacteria produce the acids that give the bread its"
        " flavour. During bulk"
        " fermentation the dough is folded to build strength. A long cold proof in the refrigerator slows"
        " the yeast more"
        " than the bacteria, so the loaf turns out sourer. Bakers speak of hydration: the weight of the"
        " water in percent"
        " of the flour. High hydration gives an open crumb.",
        (
            "sourdough|sourdough starter",
            "wild yeast|yeast",
            "lactic acid bacteria",
            "bulk fermentation|fermentation",
            "gluten network|gluten",
            "hydration|high hydration",
            "cold proof|long cold proof",
            "carbon dioxide",
            "open crumb",
        ),
    ),
    Labelled(
        "Interest rates and bonds",
        "text",
        "When the central bank raises interest rates, prices of existing bonds fall, because newly issued"
        " bonds pay a"
        " higher coupon. The longer the maturity, the stronger the effect; duration measures this"
        " sensitivity. A yield"
        " curve plots yields against maturity. An inverted yield curve has often come before a recession."
        " Investors who"
        " fear inflation may hold inflation-linked bonds, whose principal follows the consumer price index."
        " Credit risk,"
        " the risk of default, is rated by agencies.",
        (
            "interest rate",
            "bond|existing bond",
            "yield curve|inverted yield curve",
            "central bank",
            "maturity",
            "inflation-linked bond|inflation",
            "credit risk",
            "consumer price index",
            "recession",
            "duration",
        ),
    ),
    Labelled(
        "Training deep networks",
        "text",
        "We study the training of convolutional neural networks for image classification. Batch"
        " normalization allows a"
        " larger learning rate and acts as a regularizer. Dropout removes random units and reduces"
        " overfitting. Residual"
        " connections let the gradient flow through very deep networks, and stochastic gradient descent"
        " with momentum"
        " still generalizes better than adaptive optimizers on ImageNet. An ablation study shows that data"
        " augmentation"
        " brings the largest gain in accuracy. All models were implemented in PyTorch.",
        (
            "convolutional neural network|neural network",
            "image classification",
            "batch normalization",
            "dropout",
            "overfitting",
            "residual connection",
            "stochastic gradient descent",
            "data augmentation",
            "pytorch",
            "learning rate|larger learning rate",
            "imagenet",
        ),
    ),
    Labelled(
        "Saturn",
        "text",
        "Saturn is the sixth planet from the Sun and a gas giant of hydrogen and helium. Its ring system"
        " consists of ice"
        " particles, from dust to boulders. Titan, the largest moon, has a dense atmosphere of nitrogen and"
        " lakes of"
        " liquid methane. Enceladus throws geysers of water vapour from a subsurface ocean, which makes it"
        " a target in"
        " the search for extraterrestrial life. The Cassini spacecraft orbited the planet from 2004 to 2017"
        " and ended"
        " its mission by a plunge into the atmosphere.",
        (
            "saturn",
            "gas giant",
            "ring system",
            "titan",
            "enceladus",
            "subsurface ocean",
            "extraterrestrial life",
            "cassini spacecraft|cassini",
            "liquid methane",
            "dense atmosphere|atmosphere",
        ),
    ),
    Labelled(
        "rate_limiter.py",
        "code",
        '"""Token bucket rate limiter kept in Redis, shared by all web workers."""\n'
        "import time\nimport redis\nfrom fastapi import FastAPI, HTTPException\n\n\n"
        "class TokenBucket:\n    def __init__(self, capacity, refill_rate):\n        self.capacity ="
        " capacity\n"
        "        self.refill_rate = refill_rate\n\n    # take one token from the bucket, or refuse the"
        " request\n"
        "    def take_token(self, client, now=None):\n        tokens = self.refill_tokens(client, now or"
        " time.time())\n"
        "        if tokens < 1:\n            raise HTTPException(429)\n        return tokens - 1\n\n"
        "    def refill_tokens(self, client, now):\n        return min(self.capacity, client.get(now) *"
        " self.refill_rate)\n",
        ("python", "redis", "fastapi", "token bucket", "rate limiter|rate limit", "refill rate|refill token"),
    ),
    Labelled(
        "Rotating crops",
        "text",
        "Crop rotation means growing different families of plants in a bed from year to year. Legumes such"
        " as beans and"
        " clover fix nitrogen with the help of root nodule bacteria, and heavy feeders such as cabbage"
        " follow them."
        " Rotation also breaks the cycle of soil-borne diseases: clubroot survives for years if brassicas"
        " return too"
        " early. Green manure covers the soil in winter, and compost restores organic matter. Mulch keeps"
        " moisture in"
        " and weeds down.",
        (
            "crop rotation|rotation",
            "legume",
            "nitrogen|fix nitrogen",
            "green manure",
            "compost",
            "organic matter",
            "soil-borne disease",
            "clubroot",
            "mulch",
            "root nodule bacteria",
            "heavy feeder",
            "brassica",
        ),
    ),
    Labelled(
        "Getting started with Docker",
        "markdown",
        "# Getting started with Docker\n\nThis tutorial for beginners shows how to put a web application"
        " into a container."
        " A Dockerfile lists the steps that build the image: the base image, the dependencies, the start"
        " command. Each"
        " step adds a layer, and layers are cached.\n\n- `docker build` makes the image\n- `docker run`"
        " starts a container\n\n"
        "Data that should survive goes into a volume. With Docker Compose you describe several services,"
        " such as Nginx and"
        " PostgreSQL, in one YAML file. Push the image to a container registry to share it.",
        (
            "docker",
            "container",
            "dockerfile",
            "base image|image",
            "docker compose",
            "volume",
            "container registry",
            "nginx",
            "postgresql",
            "yaml",
            "layer",
            "web application",
        ),
    ),
    Labelled(
        "",
        "text",
        "From: carla@example.org\nTo: ride-list@example.org\nSubject: Re: squeaky disc"
        " brakes\nOrganization: none\n\n"
        "On Monday pete@example.org wrote:\n> I've tried everything and they're still squealing.\n\n"
        "Contaminated brake pads are the usual cause. Chain lube gets on the rotor and soaks into the pads."
        " Clean the rotor"
        " with isopropyl alcohol, sand the pads lightly, then bed in the disc brakes: twenty hard stops"
        " from speed. If the"
        " caliper isn't centred, loosen its bolts, pull the brake lever and tighten them again. Sintered"
        " pads are noisier"
        " than organic pads.\n\nCheers\n-- \nCarla\nhttp://carla.example.org/bikes\n",
        (
            "disc brake",
            "brake pad|pad|contaminated brake pad",
            "rotor",
            "isopropyl alcohol",
            "caliper",
            "brake lever",
            "sintered pad",
            "organic pad",
            "chain lube",
        ),
    ),
    Labelled(
        "Isolation levels",
        "text",
        "A database transaction is atomic: all of its writes take effect or none. Isolation levels say what"
        " concurrent"
        " transactions may see of each other. Read committed allows non-repeatable reads; snapshot"
        " isolation avoids them"
        " but permits write skew. Serializable isolation behaves as if transactions ran one after another."
        " PostgreSQL"
        " implements it with multiversion concurrency control and detects dangerous structures of"
        " dependencies; other"
        " systems use two-phase locking, which risks deadlocks. The write-ahead log makes commits durable.",
        (
            "isolation level",
            "database transaction|transaction|concurrent transaction",
            "snapshot isolation",
            "write skew",
            "serializable isolation",
            "postgresql",
            "multiversion concurrency control|concurrency control",
            "two-phase locking",
            "deadlock",
            "write-ahead log",
        ),
    ),
    Labelled(
        "How vaccines work",
        "text",
        "A vaccine shows the immune system a harmless part of a pathogen. B cells answer by making"
        " antibodies, and memory"
        " cells remain for years, so that a second infection is met at once. Messenger RNA vaccines carry"
        " the instructions"
        " for a viral protein instead of the protein itself; lipid nanoparticles bring them into the cells."
        " Adjuvants make"
        " the immune response stronger. When enough people are immune, herd immunity protects those who"
        " cannot be"
        " vaccinated. Clinical trials measure efficacy and side effects.",
        (
            "vaccine",
            "immune system|immune response",
            "antibody",
            "memory cell",
            "messenger rna vaccine|messenger rna",
            "lipid nanoparticle",
            "adjuvant",
            "herd immunity",
            "clinical trial",
            "b cell",
            "pathogen",
        ),
    ),
)

# The thirty texts that guard the quality of concepts.
GUARD: tuple[Labelled, ...] = (*KEYPHRASES, *DOCUMENTS)

TOPICS: dict[str, tuple[str, ...]] = {
    "rust": (
        "The borrow checker of Rust rejects a program in which a mutable reference and a shared reference"
        " overlap."
        " Ownership moves when a value is passed to a function, and the compiler tells where it went.",
        "Traits in Rust describe behaviour that types share. A generic function with a trait bound is"
        " compiled once per"
        " type, while a trait object calls through a table. Cargo builds the crate and runs its tests.",
        "use std::collections::HashMap;\n\n/// Counts the words of a text.\nfn count_words(text: &str) ->"
        " HashMap<String, usize> {\n    let mut counts = HashMap::new();\n    for word in"
        " text.split_whitespace() {\n"
        "        *counts.entry(word.to_string()).or_insert(0) += 1;\n    }\n    counts\n}\n",
        "Error handling in Rust uses the Result type. The question mark operator returns early with the"
        " error; unwrap"
        " panics. Crates such as anyhow and thiserror make error types shorter to write.",
        "Async Rust needs an executor: Tokio is the most common crate. A future does nothing until it is"
        " polled, and a"
        " lifetime that ends before the task does is an error of the compiler, not a crash.",
    ),
    "machine learning": (
        "A neural network learns by gradient descent: the loss is differentiated with respect to every"
        " weight by"
        " backpropagation. The learning rate decides how far each training step goes.",
        "Overfitting means that a model learns the noise of its training data. Regularization, dropout and"
        " early stopping"
        " help, and cross-validation shows whether the model generalizes to unseen data.",
        "import torch\nfrom torch import nn\n\nclass Classifier(nn.Module):\n    def __init__(self,"
        " hidden_size):\n"
        "        self.layers = nn.Sequential(nn.Linear(784, hidden_size), nn.ReLU(), nn.Dropout(0.5))\n\n"
        "def train_model(model, loader, optimizer, learning_rate):\n    for batch, labels in loader:\n"
        "        loss = nn.functional.cross_entropy(model(batch), labels)\n        loss.backward()\n"
        "        optimizer.step()  # gradient descent\n",
        "Decision trees split the training data by one feature at a time. A random forest averages many"
        " trees, and gradient"
        " boosting fits each new tree to the errors of the model so far.",
        "Transformers are neural networks built on attention: each token looks at all the others. Large"
        " language models"
        " are trained on text to predict the next token and then fine-tuned on labelled data.",
    ),
    "baking": (
        "Feed the sourdough starter with flour and water twice a day until it doubles within six hours."
        " Then mix the"
        " dough, let it rest, and add the salt.",
        "Knead the bread dough until the gluten is strong enough to be stretched thin. Let the dough rise"
        " in a warm place,"
        " shape the loaf, and bake it in a hot oven with steam.",
        "Croissants are made of laminated dough: butter is folded into the dough again and again. Keep the"
        " butter cold,"
        " rest the dough in the fridge between the folds, and bake until golden.",
        "For a pizza crust use strong flour, little yeast and a long rise in the fridge. Stretch the dough"
        " by hand and"
        " bake it on a stone in the hottest oven you have.",
        "Rye flour has little gluten, so rye bread is dense. A sour dough keeps the loaf from becoming"
        " sticky. Bake it"
        " longer at a lower heat and wait a day before slicing.",
    ),
    "gardening": (
        "Tomato plants want full sun, rich soil and regular watering. Pinch out the side shoots, tie the"
        " stems to a stake,"
        " and feed the plants when the first fruits set.",
        "Compost turns kitchen scraps and garden waste into rich soil. Mix green and brown material, keep"
        " the heap moist,"
        " and turn it every few weeks so that worms and microbes get air.",
        "Sow carrots directly into loose soil in spring, thin the seedlings, and cover the bed with fleece"
        " against the"
        " carrot fly. Water the rows in dry weather and pull the weeds.",
        "Roses are pruned in late winter. Cut dead and crossing stems, open the middle of the plant, and"
        " mulch the soil"
        " with compost. Watch the leaves for black spot in a wet summer.",
        "Slugs eat seedlings at night. Plant lettuce away from damp walls, water the garden in the morning,"
        " and collect the"
        " slugs by torchlight. Copper tape around pots keeps them off young plants.",
    ),
    "finance": (
        "An index fund holds all shares of a market at low cost. Over decades the fees of an actively"
        " managed fund eat a"
        " large part of the investor's return.",
        "Bonds pay interest and return the principal at maturity. When interest rates rise, bond prices"
        " fall. A portfolio"
        " of shares and bonds loses less in a crash.",
        "Build an emergency fund of three months' expenses before you invest. Pay off credit card debt"
        " first: its interest"
        " is higher than the return of any portfolio.",
        "A retirement account lets investments grow without tax. Contribute enough to get the employer's"
        " match, choose a"
        " cheap fund, and rebalance the portfolio once a year.",
        "A mortgage spreads the price of a house over decades. The interest rate may be fixed or variable,"
        " and early"
        " repayment saves interest but binds money that could be invested.",
    ),
    "databases": (
        "An index speeds up a query because the database need not scan the whole table. Each index slows"
        " down writes, so"
        " create one only for columns that queries filter by.",
        "SELECT customers.name, SUM(orders.total) AS revenue\nFROM customers\nJOIN orders ON"
        " orders.customer_id ="
        " customers.id\nWHERE orders.created_at > '2024-01-01'\nGROUP BY customers.name\nORDER BY revenue"
        " DESC;\n",
        "A transaction groups several SQL statements: either all rows are written or none. PostgreSQL keeps"
        " old versions of"
        " a row until no transaction needs them, and vacuum removes them.",
        "Normal forms keep a relational schema free of redundancy. A table in third normal form has no"
        " column that depends"
        " on anything but the key. Joins put the tables together again in a query.",
        "Replication copies every write of the primary database to its replicas, which answer queries. If"
        " the primary"
        " fails, a replica takes over; with asynchronous replication the last transactions may be lost.",
    ),
    "astronomy": (
        "A star like the Sun fuses hydrogen into helium. When the hydrogen in its core is used up it swells"
        " into a red giant"
        " and ends as a white dwarf; heavier stars explode as a supernova.",
        "Through a small telescope Jupiter shows its cloud bands and four moons. Saturn's rings are visible"
        " at fifty times"
        " magnification. Let the telescope cool down, and wait for steady air.",
        "Exoplanets are found when they pass in front of their star and dim its light. The transit gives"
        " the planet's size,"
        " the wobble of the star its mass. A few orbit in the habitable zone.",
        "Galaxies hold billions of stars. The Milky Way is a spiral galaxy, and the Andromeda galaxy will"
        " collide with it."
        " The rotation of galaxies suggests dark matter.",
        "A black hole is left when a massive star collapses. Its gravity bends light, and gas that falls in"
        " glows in X-rays."
        " Telescopes around the Earth together made an image of one in a distant galaxy.",
    ),
    "bicycles": (
        "A worn chain stretches and ruins the cassette. Measure the chain with a gauge every thousand"
        " kilometres, clean it,"
        " and put a drop of oil on every link.",
        "To fix a flat tyre, take the wheel out, lever the tyre off the rim, pull out the inner tube and"
        " look for the hole."
        " Check the tyre for glass before you pump up the new tube.",
        "Adjust the rear derailleur with the barrel adjuster until the chain runs quietly on every"
        " sprocket. The limit screws"
        " keep the chain from falling into the spokes of the wheel.",
        "Disc brakes squeal when oil gets on the rotor. Clean the rotor with alcohol, sand the brake pads,"
        " and centre the"
        " caliper. Replace the pads when they are thinner than a millimetre.",
        "A wheel is true when the rim runs straight between the brake pads. Turn the spoke nipples a"
        " quarter turn at a time:"
        " the spokes on the left pull the rim to the left.",
    ),
}


def plain(name: str) -> str:
    """Return a concept's name without case, hyphens and plurals: what names are compared by."""
    return " ".join(map(singular, key(name).split()))


def f1(text: Labelled) -> float:
    """Return the F1 of a text's ten best concepts against the expected ones, each of which can be hit once."""
    names = [
        plain(concept.name)
        for concept in extract_concepts(text.text, title=text.title, kind=text.kind).concepts
    ]
    hits = sum(any(plain(spelling) in names for spelling in wanted.split("|")) for wanted in text.expected)
    return 2 * hits / (len(names) + len(text.expected))


def clustering(seed: int) -> tuple[float, int]:
    """Cluster TOPICS in a random order of arrival; return the adjusted Rand index and the number of"
    " clusters."""
    documents = [(topic, text) for topic, texts in TOPICS.items() for text in texts]
    random.Random(seed).shuffle(documents)
    clusters: dict[str, Centroid] = {}
    labels = []
    for number, (_, text) in enumerate(documents):
        vector = term_vector(text)
        found = nearest(vector, clusters.values())
        centroid = joined(found, vector, []) if found else founded(f"c{number}", vector, [])
        clusters[centroid.cluster_id] = centroid
        labels.append(centroid.cluster_id)
    return adjusted_rand_index([topic for topic, _ in documents], labels), len(clusters)


def adjusted_rand_index(truth: Sequence[str], labels: Sequence[str]) -> float:
    """Return Hubert and Arabie's index (1985): 1 for equal partitions, about 0 for unrelated ones."""

    def pairs(counts: Iterable[int]) -> float:
        return sum(count * (count - 1) / 2 for count in counts)

    both = pairs(Counter(zip(truth, labels, strict=True)).values())
    rows, columns = pairs(Counter(truth).values()), pairs(Counter(labels).values())
    chance = rows * columns / pairs([len(truth)])
    return (both - chance) / ((rows + columns) / 2 - chance)
