"""The parcels of one asset in one place, and the orders in which they go.

Rules of this file (facts: 26 CFR 1.1012-1(j), read November 2026):
- A parcel is what is left of a lot here. It keeps the lot's id, time and sequence of acquisition wherever it moves, and
  total basis and quantity, never a price per unit.
- Order keys: FIFO (acquired, sequence); LIFO the reverse of it; HIFO (-unit basis, acquired, sequence); LOFO (unit basis,
  acquired, sequence). The unit basis compared is that of the acquisition, so that splitting cannot change an order.
- Basis of a part = basis * part / quantity, multiplied first, to 18 decimals half even; whoever takes all takes all that is
  left, so that parts add up exactly. Sums and differences are exact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from heapq import heapify, heappop, heappush
from typing import Final

from arbot.domain.history import LotMethod
from arbot.domain.units import EXACT, WIDE, ZERO

SHARE_QUANTUM: Final = Decimal("1e-18")

_add, _subtract, _multiply = EXACT.add, EXACT.subtract, EXACT.multiply
_divide, _quantize = WIDE.divide, WIDE.quantize


def share(total: Decimal, part: Decimal, whole: Decimal) -> Decimal:
    """Return total * part / whole to 18 decimals, half even; exactly `total` for the whole."""
    if part == whole:
        return total
    return _quantize(_divide(_multiply(total, part), whole), SHARE_QUANTUM)


class Parcel:
    """What is left of one lot in one place. `first_basis` over `first_qty` is the unit basis it was acquired at."""

    __slots__ = ("acquired_ns", "basis", "first_basis", "first_qty", "lot", "qty", "seq")

    def __init__(self, lot: str, qty: Decimal, basis: Decimal, acquired_ns: int, seq: int) -> None:
        self.lot = lot
        self.qty = qty
        self.basis = basis
        self.acquired_ns = acquired_ns
        self.seq = seq
        self.first_qty = qty
        self.first_basis = basis

    def part(self, qty: Decimal, basis: Decimal) -> Parcel:
        """Return a parcel of the same lot with so much of it."""
        other = Parcel(self.lot, qty, basis, self.acquired_ns, self.seq)
        other.first_qty, other.first_basis = self.first_qty, self.first_basis
        return other


Piece = tuple[Parcel, Decimal, Decimal]
"""(parcel, quantity, basis): so much was taken. Of the parcel read only lot, time and sequence: its quantity moves on."""

_Entry = tuple[object, ...]


def _fifo(parcel: Parcel, place: int) -> _Entry:
    return (parcel.acquired_ns, parcel.seq, place, parcel)


def _lifo(parcel: Parcel, place: int) -> _Entry:
    return (-parcel.acquired_ns, -parcel.seq, place, parcel)


def _hifo(parcel: Parcel, place: int) -> _Entry:
    return (_unit(parcel).copy_negate(), parcel.acquired_ns, parcel.seq, place, parcel)


def _lofo(parcel: Parcel, place: int) -> _Entry:
    return (_unit(parcel), parcel.acquired_ns, parcel.seq, place, parcel)


def _unit(parcel: Parcel) -> Decimal:
    return _divide(parcel.first_basis, parcel.first_qty)


ENTRIES: Final[dict[LotMethod, Callable[[Parcel, int], _Entry]]] = {
    LotMethod.FIFO: _fifo,
    LotMethod.LIFO: _lifo,
    LotMethod.HIFO: _hifo,
    LotMethod.LOFO: _lofo,
}
"""How a parcel is placed in a heap, by method: the least entry goes first. The place breaks ties of one lot met twice."""


class Parcels:
    """The parcels of one asset in one place; heaps are built for the methods that are used, and dead entries fall out."""

    __slots__ = ("_by_lot", "_heaps", "_places")

    def __init__(self) -> None:
        self._by_lot: dict[str, Parcel] = {}
        self._heaps: dict[LotMethod, list[_Entry]] = {}
        self._places = 0

    def __iter__(self) -> Iterator[Parcel]:
        return iter(self._by_lot.values())

    def add(self, parcel: Parcel) -> None:
        """Take a parcel in; it joins what is here of the same lot."""
        here = self._by_lot.get(parcel.lot)
        if here is not None:
            here.qty = _add(here.qty, parcel.qty)
            here.basis = _add(here.basis, parcel.basis)
            return
        self._by_lot[parcel.lot] = parcel
        self._places = place = self._places + 1
        for method, heap in self._heaps.items():
            heappush(heap, ENTRIES[method](parcel, place))

    def held(self) -> Decimal:
        """Return how many units are here."""
        total = ZERO
        for parcel in self._by_lot.values():
            total = _add(total, parcel.qty)
        return total

    def of(self, lot: str) -> Decimal:
        """Return how many units of a lot are here."""
        parcel = self._by_lot.get(lot)
        return ZERO if parcel is None else parcel.qty

    def take(self, qty: Decimal, method: LotMethod) -> tuple[list[Piece], Decimal]:
        """Take units in the order of a method; return the pieces and how many units are not here."""
        heap = self._heaps.get(method)
        if heap is None:
            heap = self._heaps[method] = [ENTRIES[method](each, n) for n, each in enumerate(self._by_lot.values())]
            heapify(heap)
        pieces: list[Piece] = []
        while qty and heap:
            parcel: Parcel = heap[0][-1]  # type: ignore[assignment]
            if parcel.qty <= qty:
                heappop(heap)
                if parcel.qty:
                    qty = _subtract(qty, parcel.qty)
                    pieces.append(self._all(parcel))
            else:
                pieces.append(self._some(parcel, qty))
                return pieces, ZERO
        return pieces, qty

    def take_of(self, lot: str, qty: Decimal) -> tuple[list[Piece], Decimal]:
        """Take units of one lot; return the pieces and how many units it lacks here."""
        parcel = self._by_lot.get(lot)
        if parcel is None or not qty:
            return [], qty
        if parcel.qty <= qty:
            missing = _subtract(qty, parcel.qty)
            return [self._all(parcel)], missing
        return [self._some(parcel, qty)], ZERO

    def _all(self, parcel: Parcel) -> Piece:
        piece = (parcel, parcel.qty, parcel.basis)
        del self._by_lot[parcel.lot]
        parcel.qty = parcel.basis = ZERO
        return piece

    def _some(self, parcel: Parcel, qty: Decimal) -> Piece:
        basis = share(parcel.basis, qty, parcel.qty)
        parcel.qty = _subtract(parcel.qty, qty)
        parcel.basis = _subtract(parcel.basis, basis)
        return parcel, qty, basis
