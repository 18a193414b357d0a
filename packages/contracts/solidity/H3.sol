// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

/// @title H3 cells by their bits
/// @notice Bit 63 is zero, bits 59-62 the mode (1: a cell), 56-58 zero, 52-55 the resolution, 45-51
/// the base cell, then fifteen digits of three bits, the coarsest first; digits finer than the
/// resolution are 7. Of the twelve pentagons the sub-sequence 1 is left out.
library H3 {
    uint256 internal constant FINEST = 15;

    uint256 private constant BASE_CELLS = 122;
    /// Bit b set: base cell b is a pentagon (4, 14, 24, 38, 49, 58, 63, 72, 83, 97, 107, 117).
    uint256 private constant PENTAGONS = (1 << 4) | (1 << 14) | (1 << 24) | (1 << 38) | (1 << 49)
        | (1 << 58) | (1 << 63) | (1 << 72) | (1 << 83) | (1 << 97) | (1 << 107) | (1 << 117);

    error Finer(uint256 found, uint256 wanted);

    function resolution(uint64 cell) internal pure returns (uint256) {
        return (cell >> 52) & 0xf;
    }

    function isCell(uint64 cell) internal pure returns (bool) {
        if (cell >> 56 != 0x08) return false;
        uint256 base = (cell >> 45) & 0x7f;
        if (base >= BASE_CELLS) return false;
        uint256 finest = resolution(cell);
        bool leading = (PENTAGONS >> base) & 1 == 1;
        for (uint256 level = 1; level <= FINEST; ++level) {
            uint256 digit = (cell >> (3 * (FINEST - level))) & 7;
            if (level > finest) {
                if (digit != 7) return false;
                continue;
            }
            if (digit == 7) return false;
            if (leading && digit == 1) return false;
            if (digit != 0) leading = false;
        }
        return true;
    }

    /// The cell of a coarser resolution, or of the same, that holds this one.
    function parent(uint64 cell, uint256 wanted) internal pure returns (uint64) {
        uint256 found = resolution(cell);
        if (wanted > found) revert Finer(found, wanted);
        uint64 digits = uint64((uint256(1) << (3 * (FINEST - wanted))) - 1);
        uint64 head = cell & ~(uint64(0xf) << 52);
        return head | (uint64(wanted) << 52) | digits;
    }
}
