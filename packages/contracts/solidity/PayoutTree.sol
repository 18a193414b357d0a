// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {Signing} from "./Signing.sol";

/// @notice A leaf of a checkpoint's payouts: an account's totals since genesis in base units, and
/// its place in the list.
struct Payout {
    address account;
    uint128 earned;
    uint128 spent;
    uint32 index;
}

/// @title The list tree under a checkpoint's `payouts`: SSZ, SHA-256, limit 2^32, by account
/// @notice All but the lowest levels of a list that is not full stand on a spine whose right
/// siblings are empty subtrees. The `trunk` is the node below that spine: a path to it needs as
/// many siblings as the list's length has levels, not 32.
library PayoutTree {
    uint256 internal constant DEPTH = 32;

    error LongPath(uint256 most, uint256 found);
    error BadIndex(uint256 index);

    /// hash_tree_root of the container (account, earned, spent).
    function leaf(Payout calldata payout) internal view returns (bytes32 root) {
        uint256 earned = uint256(Signing.littleEndian128(payout.earned)) << 128;
        uint256 spent = uint256(Signing.littleEndian128(payout.spent)) << 128;
        root = hashPair(
            hashPair(bytes32(bytes20(payout.account)), bytes32(earned)),
            hashPair(bytes32(spent), 0)
        );
    }

    /// The node that a leaf climbs to by these siblings, lowest first.
    function climb(bytes32 node, uint256 index, bytes32[] calldata path)
        internal
        view
        returns (bytes32)
    {
        uint256 levels = path.length;
        if (levels > DEPTH) revert LongPath(DEPTH, levels);
        if (index >> levels != 0) revert BadIndex(index);
        bool success = true;
        assembly ("memory-safe") {
            let sibling := path.offset
            for { let end := add(sibling, shl(5, levels)) } lt(sibling, end) {} {
                let side := shl(5, and(index, 1))
                mstore(side, node)
                mstore(xor(side, 0x20), calldataload(sibling))
                success := and(success, staticcall(gas(), 0x02, 0, 0x40, 0, 0x20))
                node := mload(0)
                index := shr(1, index)
                sibling := add(sibling, 0x20)
            }
        }
        assert(success);
        return node;
    }

    /// Levels of the smallest tree that holds so many leaves.
    function levelsOf(uint256 length) internal pure returns (uint256 levels) {
        while (uint256(1) << levels < length) ++levels;
    }

    /// Root of the whole list from its trunk.
    function listRoot(bytes32 trunk, uint32 length) internal view returns (bytes32 root) {
        uint256 levels = levelsOf(length);
        bytes32 empty = 0;
        root = trunk;
        for (uint256 height = 0; height < DEPTH; ++height) {
            if (height >= levels) root = hashPair(root, empty);
            empty = hashPair(empty, empty);
        }
        root = hashPair(root, bytes32(uint256(Signing.littleEndian(length)) << 192));
    }

    function hashPair(bytes32 left, bytes32 right) internal view returns (bytes32 node) {
        bool success;
        assembly ("memory-safe") {
            mstore(0, left)
            mstore(0x20, right)
            success := staticcall(gas(), 0x02, 0, 0x40, 0, 0x20)
            node := mload(0)
        }
        assert(success);
    }
}
