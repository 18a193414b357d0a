// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {Payout} from "../../solidity/PayoutTree.sol";

/// @title A checkpoint's list of payouts, hashed as the SSZ specification says and not as
/// `PayoutTree` does it
library PayoutList {
    uint256 private constant DEPTH = 32;

    function leaves(Payout[] memory list) internal pure returns (bytes32[] memory nodes) {
        nodes = new bytes32[](list.length);
        for (uint256 i = 0; i < list.length; ++i) {
            nodes[i] = sha256(
                abi.encodePacked(
                    sha256(
                        abi.encodePacked(
                            list[i].account, bytes12(0), le(list[i].earned), bytes16(0)
                        )
                    ),
                    sha256(abi.encodePacked(le(list[i].spent), bytes16(0), bytes32(0)))
                )
            );
        }
    }

    /// The level above; `empty` stands to the right of the last node.
    function above(bytes32[] memory nodes, bytes32 empty)
        internal
        pure
        returns (bytes32[] memory upper)
    {
        upper = new bytes32[]((nodes.length + 1) / 2);
        for (uint256 i = 0; i < upper.length; ++i) {
            bytes32 right = 2 * i + 1 < nodes.length ? nodes[2 * i + 1] : empty;
            upper[i] = sha256(abi.encodePacked(nodes[2 * i], right));
        }
    }

    /// The one node of a level that holds all leaves.
    function top(Payout[] memory list, uint256 height) internal pure returns (bytes32) {
        bytes32[] memory nodes = leaves(list);
        bytes32 empty = 0;
        for (uint256 h = 0; h < height; ++h) {
            nodes = above(nodes, empty);
            empty = sha256(abi.encodePacked(empty, empty));
        }
        return nodes.length == 0 ? empty : nodes[0];
    }

    function levels(Payout[] memory list) internal pure returns (uint256 count) {
        while (2 ** count < list.length) ++count;
    }

    function trunk(Payout[] memory list) internal pure returns (bytes32) {
        return top(list, levels(list));
    }

    function root(Payout[] memory list) internal pure returns (bytes32) {
        return sha256(abi.encodePacked(top(list, DEPTH), lengthNode(list.length)));
    }

    /// Siblings of a leaf up to a level.
    function path(Payout[] memory list, uint256 index, uint256 height)
        internal
        pure
        returns (bytes32[] memory siblings)
    {
        siblings = new bytes32[](height);
        bytes32[] memory nodes = leaves(list);
        bytes32 empty = 0;
        for (uint256 h = 0; h < height; ++h) {
            uint256 sibling = (index >> h) ^ 1;
            siblings[h] = sibling < nodes.length ? nodes[sibling] : empty;
            nodes = above(nodes, empty);
            empty = sha256(abi.encodePacked(empty, empty));
        }
    }

    /// 32 siblings and the list's length.
    function fullPath(Payout[] memory list, uint256 index)
        internal
        pure
        returns (bytes32[] memory siblings)
    {
        bytes32[] memory lower = path(list, index, DEPTH);
        siblings = new bytes32[](DEPTH + 1);
        for (uint256 i = 0; i < DEPTH; ++i) siblings[i] = lower[i];
        siblings[DEPTH] = lengthNode(list.length);
    }

    function lengthNode(uint256 length) internal pure returns (bytes32) {
        return bytes32(le(uint128(length)));
    }

    function le(uint128 value) internal pure returns (bytes16 bytes_) {
        for (uint256 i = 0; i < 16; ++i) {
            bytes_ |= bytes16(bytes1(uint8(value >> (8 * i)))) >> (8 * i);
        }
    }
}
