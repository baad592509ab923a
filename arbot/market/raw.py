"""Machine operations numba has no word for: unaligned loads and stores, moving words that overlap, counting zero bits.

None of them checks anything: the caller guarantees that the positions lie inside the array. Plain indexing would be as
right and several times slower, because it allows for negative indexes on every access.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.core.typing.templates import Signature
from numba.extending import intrinsic


def _machine(function: Any) -> Any:
    """Make an intrinsic, untyped: what stands below types its code, callers see plain integers."""
    return intrinsic(function)


def _element(context: Any, builder: Any, array_type: Any, array: Any, at: Any) -> Any:
    """Return the address of an element of an array or of bytes."""
    data = context.make_helper(builder, array_type, array).data
    return builder.gep(data, [at])


@_machine
def byte_at(_context: Any, data: types.Type, _at: types.Type) -> tuple[Signature, Any]:
    """Return data[at] of bytes or of a uint8 array, as int64."""

    def code(context: Any, builder: Any, signature: Signature, args: Any) -> Any:
        return builder.zext(
            builder.load(_element(context, builder, signature.args[0], args[0], args[1])), ir.IntType(64)
        )

    return types.int64(data, types.int64), code


@_machine
def word_at(_context: Any, data: types.Type, _at: types.Type) -> tuple[Signature, Any]:
    """Return the eight bytes from data[at], first byte lowest (little-endian machines), as uint64."""

    def code(context: Any, builder: Any, signature: Signature, args: Any) -> Any:
        address = _element(context, builder, signature.args[0], args[0], args[1])
        return builder.load(builder.bitcast(address, ir.IntType(64).as_pointer()), align=1)

    return types.uint64(data, types.int64), code


def _byte_address(context: Any, builder: Any, array_type: Any, array: Any, at: Any) -> Any:
    """Return the address of byte `at` of an int64 array, as one of a 64-bit word."""
    data = context.make_helper(builder, array_type, array).data
    address = builder.gep(builder.bitcast(data, ir.IntType(8).as_pointer()), [at])
    return builder.bitcast(address, ir.IntType(64).as_pointer())


@_machine
def word_at_byte(_context: Any, words: types.Type, _at: types.Type) -> tuple[Signature, Any]:
    """Return the eight bytes from byte `at` of an int64 array, first byte lowest, as uint64."""

    def code(context: Any, builder: Any, signature: Signature, args: Any) -> Any:
        return builder.load(_byte_address(context, builder, signature.args[0], args[0], args[1]), align=1)

    return types.uint64(words, types.int64), code


@_machine
def put_word(_context: Any, words: types.Type, _at: types.Type, _word: types.Type) -> tuple[Signature, Any]:
    """Store eight bytes at byte `at` of an int64 array, lowest byte first."""

    def code(context: Any, builder: Any, signature: Signature, args: Any) -> Any:
        builder.store(args[2], _byte_address(context, builder, signature.args[0], args[0], args[1]), align=1)
        return context.get_dummy_value()

    return types.void(words, types.int64, types.uint64), code


@_machine
def trailing_zeros(_context: Any, _word: types.Type) -> tuple[Signature, Any]:
    """Return how many low bits of a uint64 are zero; 64 for zero itself."""

    def code(_lower: Any, builder: Any, _signature: Signature, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 0))

    return types.uint64(types.uint64), code


@_machine
def move_words(
    _context: Any, words: types.Type, _to: types.Type, _from: types.Type, _count: types.Type
) -> tuple[Signature, Any]:
    """Move words inside an int64 array: (array, to, from, count); the ranges may overlap."""

    def code(context: Any, builder: Any, signature: Signature, args: Any) -> Any:
        array_type, array = signature.args[0], args[0]
        cgutils.raw_memmove(  # type: ignore[no-untyped-call]
            builder,
            _element(context, builder, array_type, array, args[1]),
            _element(context, builder, array_type, array, args[2]),
            args[3],
            8,
        )
        return context.get_dummy_value()

    return types.void(words, types.int64, types.int64, types.int64), code
