// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {Bls12381} from "../../solidity/Bls12381.sol";

/// @title Keys and signatures of known secrets, by the multiplications of EIP-2537
library BlsSigner {
    function publicKey(uint256 secret) internal view returns (bytes32[4] memory key) {
        (bool success, bytes memory point) = address(0x0c).staticcall(
            abi.encodePacked(
                bytes32(0x0000000000000000000000000000000017f1d3a73197d7942695638c4fa9ac0f),
                bytes32(0xc3688c4f9774b905a14e3a3f171bac586c55e83ff97a1aeffb3af00adb22c6bb),
                bytes32(0x0000000000000000000000000000000008b3f481e3aaa0f1a09e30ed741d8ae4),
                bytes32(0xfcf5e095d5d00af600db18cb2c04b3edd03cc744a2888ae40caa232946c5e7e1),
                secret
            )
        );
        assert(success);
        key = abi.decode(point, (bytes32[4]));
    }

    function sign(uint256 secret, bytes32 message)
        internal
        view
        returns (bytes32[8] memory signature)
    {
        bytes32[8] memory hashed = Bls12381.hashToG2(message);
        (bool success, bytes memory point) =
            address(0x0e).staticcall(abi.encodePacked(hashed, secret));
        assert(success);
        signature = abi.decode(point, (bytes32[8]));
    }
}
