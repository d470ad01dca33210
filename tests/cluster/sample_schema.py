"""A small shop to back up: tables with some thousand rows, a view, a trigger, a routine, an event. Pure.

The same call gives the same statements, so that two servers can be compared.
"""

from collections.abc import Iterable, Iterator
from itertools import islice

CUSTOMERS = 1_000
ORDERS = 4_000

_ROWS_IN_ONE_STATEMENT = 500

_FIRST_NAMES = ("Ada", "Grace", "Edsger", "Barbara", "Zoë", "李", "Łukasz", "Ana")
_PRODUCTS = (
    ("Kettle", "34.90"),
    ("Teapot", "22.50"),
    ("Cup", "6.20"),
    ("Tray", "18.00"),
    ("Green tea", "9.75"),
)
_STATES = ("new", "paid", "sent", "returned")


def sample_schema(*, for_tidb: bool = False) -> Iterator[str]:
    """Statements that create and fill the databases shop, test and mysql_app.

    TiDB has no triggers, routines and events: for it there are none.
    """
    yield "CREATE DATABASE shop CHARACTER SET utf8mb4"
    yield from _TABLES
    yield from _insert(
        "shop.customers (id, name, email)", (_customer(number) for number in _numbers(CUSTOMERS))
    )
    yield from _insert(
        "shop.products (id, name, price)",
        (f"({number}, '{name}', {price})" for number, (name, price) in enumerate(_PRODUCTS, 1)),
    )
    yield from _insert(
        "shop.orders (id, customer, ordered, state)", (_order(number) for number in _numbers(ORDERS))
    )
    yield from _insert(
        "shop.order_lines (order_id, product, quantity)",
        (_line(number, place) for number in _numbers(ORDERS) for place in range(1 + number % 3)),
    )
    yield _VIEW
    if not for_tidb:
        yield from _PROGRAMS
    # Names that look like system databases and are not.
    for name in ("test", "mysql_app"):
        yield f"CREATE DATABASE IF NOT EXISTS {name}"
        yield f"CREATE TABLE {name}.notes (id INT PRIMARY KEY, body TEXT NOT NULL)"
        yield f"INSERT INTO {name}.notes VALUES (1, 'kept in {name}'), (2, 'a \\n line, a '' and a \\\\')"


_TABLES = (
    """CREATE TABLE shop.customers (
        id INT UNSIGNED PRIMARY KEY, name VARCHAR(100) NOT NULL, email VARCHAR(200) NOT NULL UNIQUE,
        orders_placed INT UNSIGNED NOT NULL DEFAULT 0
    ) ENGINE=InnoDB""",
    """CREATE TABLE shop.products (
        id INT UNSIGNED PRIMARY KEY, name VARCHAR(100) NOT NULL, price DECIMAL(8, 2) NOT NULL, picture BLOB
    ) ENGINE=InnoDB""",
    """CREATE TABLE shop.orders (
        id INT UNSIGNED PRIMARY KEY, customer INT UNSIGNED NOT NULL, ordered DATETIME NOT NULL,
        state ENUM('new', 'paid', 'sent', 'returned') NOT NULL,
        FOREIGN KEY (customer) REFERENCES shop.customers (id)
    ) ENGINE=InnoDB""",
    """CREATE TABLE shop.order_lines (
        order_id INT UNSIGNED NOT NULL, product INT UNSIGNED NOT NULL, quantity INT UNSIGNED NOT NULL,
        PRIMARY KEY (order_id, product),
        FOREIGN KEY (order_id) REFERENCES shop.orders (id),
        FOREIGN KEY (product) REFERENCES shop.products (id)
    ) ENGINE=InnoDB""",
    "CREATE TABLE shop.empty_shelf (id INT PRIMARY KEY, note VARCHAR(20)) ENGINE=InnoDB",
)

_VIEW = """CREATE VIEW shop.turnover AS
    SELECT o.customer, SUM(l.quantity * p.price) AS amount
    FROM shop.orders o
    JOIN shop.order_lines l ON l.order_id = o.id
    JOIN shop.products p ON p.id = l.product
    GROUP BY o.customer"""

# After the rows: the trigger would count them, once more when they are loaded back.
_PROGRAMS = (
    """CREATE TRIGGER shop.count_orders AFTER INSERT ON shop.orders FOR EACH ROW
        UPDATE shop.customers SET orders_placed = orders_placed + 1 WHERE id = NEW.customer""",
    """CREATE PROCEDURE shop.best_customers(IN how_many INT)
        SELECT customer, amount FROM shop.turnover ORDER BY amount DESC LIMIT how_many""",
    """CREATE FUNCTION shop.vat(amount DECIMAL(10, 2)) RETURNS DECIMAL(10, 2) DETERMINISTIC
        RETURN amount * 0.19""",
    # Disabled: the data must not change between two looks at it.
    """CREATE EVENT shop.forget_returned ON SCHEDULE EVERY 1 DAY DISABLE DO
        DELETE FROM shop.order_lines
        WHERE order_id IN (SELECT id FROM shop.orders WHERE state = 'returned')""",
)


def _numbers(count: int) -> range:
    return range(1, count + 1)


def _customer(number: int) -> str:
    name = f"{_FIRST_NAMES[number % len(_FIRST_NAMES)]} O''Number {number}"
    return f"({number}, '{name}', 'customer-{number}@example.com')"


def _order(number: int) -> str:
    ordered = f"2026-{1 + number % 12:02d}-{1 + number % 28:02d} {number % 24:02d}:{number % 60:02d}:00"
    return f"({number}, {1 + number * 7 % CUSTOMERS}, '{ordered}', '{_STATES[number % len(_STATES)]}')"


def _line(order: int, place: int) -> str:
    return f"({order}, {1 + (order + place) % len(_PRODUCTS)}, {1 + order % 4})"


def _insert(into: str, rows: Iterable[str]) -> Iterator[str]:
    left = iter(rows)
    while some := list(islice(left, _ROWS_IN_ONE_STATEMENT)):
        yield f"INSERT INTO {into} VALUES {', '.join(some)}"
