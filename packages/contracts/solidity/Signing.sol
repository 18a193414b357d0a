// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

/// @title What a key signs: sha256(SSZ{domain, root}), as `domain.ts` of the protocol package
library Signing {
    /// Types of `DomainType`, as the two little-endian bytes that stand in the domain.
    bytes2 internal constant VOTE = 0x0900;
    bytes2 internal constant POSSESSION = 0x0201;
    bytes2 internal constant CHECK_IN = 0x0a01;

    /// "cairn/1" padded: the protocol's name and major version.
    bytes8 private constant PROTOCOL = "cairn/1";

    function signingRoot(bytes2 domainType, bytes32 network, bytes32 root)
        internal
        pure
        returns (bytes32)
    {
        bytes32 domain = sha256(abi.encodePacked(PROTOCOL, domainType, network));
        return sha256(abi.encodePacked(domain, root));
    }

    /// The eight bytes of a uint64 in SSZ's order; its own inverse.
    function littleEndian(uint64 value) internal pure returns (uint64) {
        value = ((value & 0xff00ff00ff00ff00) >> 8) | ((value & 0x00ff00ff00ff00ff) << 8);
        value = ((value & 0xffff0000ffff0000) >> 16) | ((value & 0x0000ffff0000ffff) << 16);
        return (value >> 32) | (value << 32);
    }

    /// The sixteen bytes of a uint128 in SSZ's order; its own inverse.
    function littleEndian128(uint128 value) internal pure returns (uint128) {
        uint64 low = littleEndian(uint64(value));
        return (uint128(low) << 64) | littleEndian(uint64(value >> 64));
    }
}
