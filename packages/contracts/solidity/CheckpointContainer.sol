// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {Signing} from "./Signing.sol";

/// @title The SSZ container `Checkpoint` of the protocol package, read and hashed by offset
/// @notice Thirteen fields in 468 bytes: epoch u64, base {number u64, hash}, parent, messages, state,
/// payouts, penalties, deals, counts {messages u32 x 16, verdicts u32 x 24}, earnedTotal u128,
/// spentTotal u128, nextCommittee, rulesVersion u32.
library CheckpointContainer {
    uint256 internal constant LENGTH = 468;
    uint256 internal constant FIELDS = 13;

    error WrongLength(uint256 expected, uint256 found);

    function epoch(bytes calldata checkpoint) internal pure returns (uint64) {
        return Signing.littleEndian(uint64(bytes8(checkpoint[0:8])));
    }

    function baseNumber(bytes calldata checkpoint) internal pure returns (uint64) {
        return Signing.littleEndian(uint64(bytes8(checkpoint[8:16])));
    }

    function parent(bytes calldata checkpoint) internal pure returns (bytes32) {
        return bytes32(checkpoint[48:80]);
    }

    function payouts(bytes calldata checkpoint) internal pure returns (bytes32) {
        return bytes32(checkpoint[144:176]);
    }

    function earnedTotal(bytes calldata checkpoint) internal pure returns (uint128) {
        return Signing.littleEndian128(uint128(bytes16(checkpoint[400:416])));
    }

    function spentTotal(bytes calldata checkpoint) internal pure returns (uint128) {
        return Signing.littleEndian128(uint128(bytes16(checkpoint[416:432])));
    }

    function nextCommittee(bytes calldata checkpoint) internal pure returns (bytes32) {
        return bytes32(checkpoint[432:464]);
    }

    /// hash_tree_root of what has the container's length.
    function checkedRoot(bytes calldata checkpoint) internal view returns (bytes32) {
        if (checkpoint.length != LENGTH) revert WrongLength(LENGTH, checkpoint.length);
        return hashTreeRoot(checkpoint);
    }

    /// hash_tree_root. The caller has checked the length.
    function hashTreeRoot(bytes calldata checkpoint) internal view returns (bytes32 root) {
        bool success;
        assembly ("memory-safe") {
            function pair(from, to) -> ok {
                ok := staticcall(gas(), 0x02, from, 0x40, to, 0x20)
            }
            let data := checkpoint.offset
            let leaves := mload(0x40)
            let scratch := add(leaves, 0x1c0)

            // epoch
            mstore(leaves, shl(192, shr(192, calldataload(data))))
            // base
            mstore(scratch, shl(192, shr(192, calldataload(add(data, 8)))))
            calldatacopy(add(scratch, 0x20), add(data, 16), 0x20)
            success := pair(scratch, add(leaves, 0x20))
            // parent, messages, state, payouts, penalties, deals
            calldatacopy(add(leaves, 0x40), add(data, 48), 0xc0)
            // counts
            calldatacopy(scratch, add(data, 240), 0xa0)
            mstore(add(scratch, 0xa0), 0)
            success := and(success, pair(scratch, scratch))
            success := and(success, pair(add(scratch, 0x40), add(scratch, 0x40)))
            success := and(success, pair(add(scratch, 0x80), add(scratch, 0x60)))
            success := and(success, pair(add(scratch, 0x40), add(scratch, 0x20)))
            success := and(success, pair(scratch, add(leaves, 0x100)))
            // earnedTotal, spentTotal
            mstore(add(leaves, 0x120), shl(128, shr(128, calldataload(add(data, 400)))))
            mstore(add(leaves, 0x140), shl(128, shr(128, calldataload(add(data, 416)))))
            // nextCommittee
            calldatacopy(add(leaves, 0x160), add(data, 432), 0x20)
            // rulesVersion
            mstore(add(leaves, 0x180), shl(224, shr(224, calldataload(add(data, 464)))))
            mstore(add(leaves, 0x1a0), 0)

            for { let i := 0 } lt(i, 7) { i := add(i, 1) } {
                success := and(success, pair(add(leaves, shl(6, i)), add(leaves, shl(5, i))))
            }
            // Two leaves that are always empty.
            mstore(add(leaves, 0xe0), 0xf5a5fd42d16a20302798ef6ed309979b43003d2320d9f0e8ea9831a92759fb4b)
            for { let width := 4 } width { width := shr(1, width) } {
                for { let i := 0 } lt(i, width) { i := add(i, 1) } {
                    success := and(success, pair(add(leaves, shl(6, i)), add(leaves, shl(5, i))))
                }
            }
            root := mload(leaves)
        }
        assert(success);
    }

    /// Levels of the list tree under a field: 2^32 leaves of messages and payouts, 2^24 of penalties
    /// and deals; none under a field that is itself the leaf.
    function listDepth(uint8 field) internal pure returns (uint256) {
        if (field == 3 || field == 5) return 32;
        if (field == 6 || field == 7) return 24;
        return 0;
    }
}
