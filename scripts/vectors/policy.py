#!/usr/bin/env python3
"""Vectors of the bond rule, computed with 80 digits: python3 scripts/vectors/policy.py > vm/tests/vectors/policy.txt

Fractions are written as integer numbers of 2^-64. Detections are rounded down, misses and exponentials up, which is what
the chain may at most be better than. The formulas are those of docs/spec: q1 = 1 - exp(-x (phi - a)),
qj = 1 - exp(-mu (phi - a) (1 - C(n-j, k) / C(n, k))), q (0.6 S + R + v) >= 1.25 (v + R), phi = 1, a = 1/3.
"""

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, getcontext
from math import comb

getcontext().prec = 80
ONE = 1 << 64
HONEST = Decimal(2) / Decimal(3)
STEPS = 1 << 16
LEAST = -(-STEPS // 10)
MOST_VERIFIERS = 8


def down(value):
    return int((value * ONE).to_integral_value(ROUND_FLOOR))


def up(value):
    return int((value * ONE).to_integral_value(ROUND_CEILING))


def one(x):
    return 1 - (-x * HONEST).exp()


def many(mu, n, k, j):
    miss = Decimal(comb(n - j, k)) / Decimal(comb(n, k))
    return 1 - (-mu * HONEST * (1 - miss)).exp()


def least_bond(q, price, value):
    need = (Decimal(5) / 4 * (value + price) / q - (price + value)) / (Decimal(3) / 5)
    return max(0, int(need.to_integral_value(ROUND_CEILING)))


def allows(steps, bond, price, value, task_value, n, k):
    x = Decimal(steps) / STEPS
    mu = x * n / k
    j = max(1, min(n, -(-value // task_value)))
    pairs = [(task_value, one(x)), (value, many(mu, n, k, j))]
    return all(
        q * (Decimal(3) / 5 * bond + price + v) >= Decimal(5) / 4 * (v + price) for v, q in pairs
    )


def least_steps(bond, price, value, task_value, n, k):
    low, high = LEAST, MOST_VERIFIERS * STEPS * k // n
    if low > high or not allows(high, bond, price, value, task_value, n, k):
        return "none"
    while low < high:
        middle = (low + high) // 2
        if allows(middle, bond, price, value, task_value, n, k):
            high = middle
        else:
            low = middle + 1
    return low


def main():
    for y in [0, 1, ONE // 7, ONE // 2, ONE - 1, ONE, 3 * ONE // 2, 5 * ONE + 12345, 20 * ONE, 44 * ONE, 60 * ONE]:
        print("exp", y, up((-Decimal(y) / ONE).exp()))
    for n, j, k in [(2, 1, 1), (10, 1, 3), (10, 4, 4), (64, 8, 5), (1000, 10, 100), (1024, 512, 3), (1024, 1, 1023)]:
        print("miss", n, j, k, up(Decimal(comb(n - j, k)) / Decimal(comb(n, k))))
    for steps in [LEAST, STEPS // 4, STEPS // 2, STEPS, 2 * STEPS, 3 * STEPS, 8 * STEPS]:
        print("one", steps * (ONE // STEPS), down(one(Decimal(steps) / STEPS)))
    for mu, n, k, j in [(1, 10, 3, 2), (2, 100, 10, 5), (8, 1000, 13, 20), (1, 1, 1, 1), (3, 1024, 1, 1024), (5, 7, 7, 3)]:
        print("many", mu * ONE, n, k, j, down(many(Decimal(mu), n, k, j)))
    unit = 10**18
    for steps in [STEPS // 4, STEPS, 2 * STEPS, 3 * STEPS]:
        print("design", steps, least_bond(one(Decimal(steps) / STEPS), 0, 1000 * unit))
    for q, price, value in [(ONE // 2, 3 * unit, 5 * unit), (ONE // 16, unit, unit), (ONE, 7, 9), (ONE - 1, 10**30, 10**31)]:
        print("bond", q, price, value, least_bond(Decimal(q) / ONE, price, value))
    for bond, price, value, task_value, n, k in [
        (100 * unit, unit, unit, unit, 1, 1),
        (50 * unit, unit, unit, unit, 1, 1),
        (10 * unit, unit, 3 * unit, 3 * unit, 1, 1),
        (10 * unit, unit, 9 * unit, unit, 16, 16),
        (10 * unit, unit, 9 * unit, unit, 16, 4),
        (10 * unit, unit, 9 * unit, unit, 16, 1),
        (3 * unit, 0, 4 * unit, unit, 1000, 125),
        (unit, 0, 3 * unit, 3 * unit, 1, 1),
        (500 * unit, 2 * unit, 100 * unit, unit // 10, 1024, 64),
        (119 * unit, 0, 10 * unit, 10 * unit, 5, 5),
    ]:
        print("least", bond, price, value, task_value, n, k, least_steps(bond, price, value, task_value, n, k))


if __name__ == "__main__":
    main()
