// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {Bls12381} from "./Bls12381.sol";

/// @notice A committee before it is hashed into one word. `key` is the sum of all members' keys.
/// `members` is the Merkle root over keccak256(key, weight), padded with zeros to a power of two,
/// nodes being keccak256(left, right).
struct Committee {
    uint256 count;
    uint256 weight;
    bytes32[4] key;
    bytes32 members;
}

struct Member {
    uint256 index;
    bytes32[4] key;
    uint256 weight;
}

/// @notice Members who did not sign, by ascending index, and the siblings that their leaves need,
/// level by level from the leaves and from left to right within a level.
struct Absent {
    Member[] members;
    bytes32[] proof;
}

library CommitteeWord {
    using Bls12381 for bytes32[4];

    error AbsentOrder(uint256 index);
    error AbsentProof();

    /// The one word a committee is stored as.
    function word(Committee calldata committee) internal pure returns (bytes32) {
        return keccak256(abi.encode(committee));
    }

    /// Key and weight of those who signed: all less the absent.
    function present(Committee calldata committee, Absent calldata absent)
        internal
        view
        returns (bytes32[4] memory key, uint256 weight)
    {
        key = committee.key;
        weight = committee.weight;
        uint256 count = absent.members.length;
        if (count == 0) return (key, weight);
        // As `prove` and `sum`, in one pass: this is what every submission pays for.
        bytes32[4] memory missing = absent.members[0].key;
        bytes memory nodes = new bytes(count * 64);
        uint256 lowest = 0;
        for (uint256 i = 0; i < count; ++i) {
            Member calldata member = absent.members[i];
            lowest = _setLeaf(nodes, i, member, lowest, committee.count);
            weight -= member.weight;
            if (i != 0) missing.add(member.key);
        }
        if (_root(nodes, committee.count, absent.proof) != committee.members) revert AbsentProof();
        missing.negate();
        missing.add(committee.key);
        key = missing;
    }

    /// Reverts unless these are members of the committee.
    function prove(Committee calldata committee, Absent calldata members) internal pure {
        uint256 count = members.members.length;
        bytes memory nodes = new bytes(count * 64);
        uint256 lowest = 0;
        for (uint256 i = 0; i < count; ++i) {
            lowest = _setLeaf(nodes, i, members.members[i], lowest, committee.count);
        }
        if (_root(nodes, committee.count, members.proof) != committee.members) revert AbsentProof();
    }

    /// Key and weight of at least one member together.
    function sum(Absent calldata members)
        internal
        view
        returns (bytes32[4] memory key, uint256 weight)
    {
        key = members.members[0].key;
        weight = members.members[0].weight;
        for (uint256 i = 1; i < members.members.length; ++i) {
            key.add(members.members[i].key);
            weight += members.members[i].weight;
        }
    }

    /// Adds a leaf at `place` to a tree kept as the roots of its full subtrees by height.
    function append(bytes32[32] storage branch, uint256 place, bytes32 leaf) internal {
        uint256 height = 0;
        bytes32 node = leaf;
        for (; (place >> height) & 1 == 1; ++height) {
            node = keccak256(abi.encodePacked(branch[height], node));
        }
        branch[height] = node;
    }

    /// Root of such a tree of at least one leaf, padded with zeros to a power of two.
    function rootOf(bytes32[32] storage branch, uint256 count)
        internal
        view
        returns (bytes32 root)
    {
        uint256 height = 0;
        bytes32 empty = 0;
        for (; (count >> height) & 1 == 0; ++height) {
            empty = keccak256(abi.encodePacked(empty, empty));
        }
        // The lowest full subtree: the whole tree, or a left child with nothing to its right.
        root = branch[height];
        if (uint256(1) << height == count) return root;
        root = keccak256(abi.encodePacked(root, empty));
        for (++height; uint256(1) << height < count; ++height) {
            empty = keccak256(abi.encodePacked(empty, empty));
            root = (count >> height) & 1 == 1
                ? keccak256(abi.encodePacked(branch[height], root))
                : keccak256(abi.encodePacked(root, empty));
        }
    }

    /// Writes the i-th pair (index, hash), 64 bytes; gives out the least index that may follow.
    function _setLeaf(
        bytes memory nodes,
        uint256 i,
        Member calldata member,
        uint256 lowest,
        uint256 count
    ) private pure returns (uint256) {
        uint256 index = member.index;
        if (index < lowest || index >= count) revert AbsentOrder(index);
        assembly ("memory-safe") {
            let node := add(add(nodes, 0x20), shl(6, i))
            let free := mload(0x40)
            calldatacopy(free, add(member, 0x20), 0xa0)
            mstore(node, calldataload(member))
            mstore(add(node, 0x20), keccak256(free, 0xa0))
        }
        unchecked {
            return index + 1;
        }
    }

    /// Root of the tree over `count` leaves from the leaves in `nodes` and all other subtrees'
    /// hashes in `proof`; zero unless the proof has exactly the length needed.
    function _root(bytes memory nodes, uint256 count, bytes32[] calldata proof)
        private
        pure
        returns (bytes32 root)
    {
        assembly ("memory-safe") {
            let base := add(nodes, 0x20)
            let end := add(base, mload(nodes))
            let sibling := proof.offset
            for { let width := 1 } lt(width, count) { width := shl(1, width) } {
                let to := base
                for { let from := base } lt(from, end) {} {
                    let index := mload(from)
                    let node := mload(add(from, 0x20))
                    from := add(from, 0x40)
                    switch and(index, 1)
                    case 1 {
                        mstore(0, calldataload(sibling))
                        mstore(0x20, node)
                        sibling := add(sibling, 0x20)
                    }
                    default {
                        mstore(0, node)
                        switch and(lt(from, end), eq(mload(from), add(index, 1)))
                        case 1 {
                            mstore(0x20, mload(add(from, 0x20)))
                            from := add(from, 0x40)
                        }
                        default {
                            mstore(0x20, calldataload(sibling))
                            sibling := add(sibling, 0x20)
                        }
                    }
                    mstore(to, shr(1, index))
                    mstore(add(to, 0x20), keccak256(0, 0x40))
                    to := add(to, 0x40)
                }
                end := to
            }
            if eq(sibling, add(proof.offset, shl(5, proof.length))) { root := mload(add(base, 0x20)) }
        }
    }
}
