// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

/// @title BLS12-381 signatures, keys in G1 and signatures in G2, over the precompiles of EIP-2537
/// @notice A field element is 64 bytes big-endian with 16 leading zeros; a G1 point is x, y; a G2
/// point is x.c0, x.c1, y.c0, y.c1. Messages are hashed to G2 by RFC 9380 with the suite
/// BLS12381G2_XMD:SHA-256_SSWU_RO_ and the tag of the proof-of-possession scheme.
library Bls12381 {
    /// A precompile refused its input (not canonical, not on the curve, not in the subgroup), or
    /// the chain does not have it.
    error InvalidPoint();

    /// The field's prime, upper 16 and lower 32 bytes.
    uint256 private constant P_HIGH = 0x1a0111ea397fe69a4b1ba7b6434bacd7;
    uint256 private constant P_LOW =
        0x64774b84f38512bf6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaab;

    /// (p - 1) / 2: the greater of y and -y is above it.
    uint256 private constant HALF_HIGH = 0x0d0088f51cbff34d258dd3db21a5d66b;
    uint256 private constant HALF_LOW =
        0xb23ba5c279c2895fb39869507b587b120f55ffff58a9ffffdcff7fffffffd555;

    /// True iff `signature` is the key's signature of `message`. The pairing checks that both
    /// points are in their subgroups. Infinity is a point of the subgroup and satisfies the
    /// equation with itself, so callers refuse an infinite key.
    function verify(bytes32[4] memory key, bytes32 message, bytes32[8] calldata signature)
        internal
        view
        returns (bool valid)
    {
        bytes32[8] memory hashed = hashToG2(message);
        bool success;
        // e(key, H(message)) * e(-G1, signature) == 1
        assembly ("memory-safe") {
            let input := mload(0x40)
            mcopy(input, key, 0x80)
            mcopy(add(input, 0x80), hashed, 0x100)
            mstore(add(input, 0x180), 0x0000000000000000000000000000000017f1d3a73197d7942695638c4fa9ac0f)
            mstore(add(input, 0x1a0), 0xc3688c4f9774b905a14e3a3f171bac586c55e83ff97a1aeffb3af00adb22c6bb)
            mstore(add(input, 0x1c0), 0x00000000000000000000000000000000114d1d6855d545a8aa7d76c8cf2e21f2)
            mstore(add(input, 0x1e0), 0x67816aef1db507c96655b9d5caac42364e6f38ba0ecb751bad54dcd6b939c2ca)
            calldatacopy(add(input, 0x200), signature, 0x100)
            success := staticcall(gas(), 0x0f, input, 0x300, 0, 0x20)
            // Without the precompile the call succeeds and returns nothing.
            success := and(success, eq(returndatasize(), 0x20))
            valid := eq(mload(0), 1)
        }
        if (!success) revert InvalidPoint();
    }

    /// RFC 9380 hash_to_curve of 32 bytes.
    function hashToG2(bytes32 message) internal view returns (bytes32[8] memory point) {
        bool success;
        assembly ("memory-safe") {
            // expand_message_xmd to 256 bytes: eight blocks, two to a field element.
            let block_ := mload(0x40)
            calldatacopy(block_, calldatasize(), 0x40)
            mstore(add(block_, 0x40), message)
            mstore(add(block_, 0x60), 0x010000424c535f5349475f424c53313233383147325f584d443a5348412d3235)
            mstore(add(block_, 0x80), 0x365f535357555f524f5f504f505f2b0000000000000000000000000000000000)
            success := staticcall(gas(), 0x02, block_, 0x8f, 0, 0x20)
            let first := mload(0)
            mstore(add(block_, 0x20), 0x00424c535f5349475f424c53313233383147325f584d443a5348412d3235365f)
            mstore(add(block_, 0x40), 0x535357555f524f5f504f505f2b00000000000000000000000000000000000000)

            // MODEXP input: lengths 64, 1, 64; the base is two blocks; exponent 1; modulus p.
            let power := add(block_, 0x80)
            mstore(power, 0x40)
            mstore(add(power, 0x20), 1)
            mstore(add(power, 0x40), 0x40)
            mstore8(add(power, 0xa0), 1)
            mstore(add(power, 0xa1), P_HIGH)
            mstore(add(power, 0xc1), P_LOW)

            let fields := add(power, 0x100)
            let previous := 0
            for { let i := 0 } lt(i, 4) { i := add(i, 1) } {
                let counter := add(block_, 0x20)
                mstore(block_, xor(first, previous))
                mstore8(counter, add(mul(i, 2), 1))
                success := and(success, staticcall(gas(), 0x02, block_, 0x4d, add(power, 0x60), 0x20))
                mstore(block_, xor(first, mload(add(power, 0x60))))
                mstore8(counter, add(mul(i, 2), 2))
                success := and(success, staticcall(gas(), 0x02, block_, 0x4d, add(power, 0x80), 0x20))
                previous := mload(add(power, 0x80))
                success := and(success, staticcall(gas(), 0x05, power, 0xe1, add(fields, mul(i, 0x40)), 0x40))
            }

            let mapped := add(fields, 0x100)
            success := and(success, staticcall(gas(), 0x11, fields, 0x80, mapped, 0x100))
            success := and(success, staticcall(gas(), 0x11, add(fields, 0x80), 0x80, add(mapped, 0x100), 0x100))
            success := and(success, staticcall(gas(), 0x0d, mapped, 0x200, point, 0x100))
            success := and(success, eq(returndatasize(), 0x100))
        }
        if (!success) revert InvalidPoint();
    }

    /// Adds a calldata point to `sum` in place. Checks the curve, not the subgroup.
    function add(bytes32[4] memory sum, bytes32[4] calldata point) internal view {
        bool success;
        assembly ("memory-safe") {
            let input := mload(0x40)
            mcopy(input, sum, 0x80)
            calldatacopy(add(input, 0x80), point, 0x80)
            success := staticcall(gas(), 0x0b, input, 0x100, sum, 0x80)
            success := and(success, eq(returndatasize(), 0x80))
        }
        if (!success) revert InvalidPoint();
    }

    /// Negates a finite point in place.
    function negate(bytes32[4] memory point) internal pure {
        uint256 high = uint256(point[2]);
        uint256 low = uint256(point[3]);
        unchecked {
            point[3] = bytes32(P_LOW - low);
            point[2] = bytes32(P_HIGH - high - (low > P_LOW ? 1 : 0));
        }
    }

    function isInfinity(bytes32[4] memory point) internal pure returns (bool) {
        return point[0] | point[1] | point[2] | point[3] == 0;
    }

    function isInfinity(bytes32[8] calldata point) internal pure returns (bool) {
        return point[0] | point[1] | point[2] | point[3] | point[4] | point[5] | point[6] | point[7]
            == 0;
    }

    /// The 48-byte form: x with the flag of compression, and the flag of the greater y.
    function compress(bytes32[4] memory point) internal pure returns (bytes memory) {
        uint256 high = uint256(point[2]);
        bool greater = high > HALF_HIGH || (high == HALF_HIGH && uint256(point[3]) > HALF_LOW);
        bytes16 flags = greater ? bytes16(uint128(0xa0) << 120) : bytes16(uint128(0x80) << 120);
        return abi.encodePacked(bytes16(uint128(uint256(point[0]))) | flags, point[1]);
    }
}
