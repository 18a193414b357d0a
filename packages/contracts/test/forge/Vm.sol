// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

/// @title The cheat codes of forge that these tests use
interface Vm {
    function warp(uint256 timestamp) external;
    function roll(uint256 number) external;
    function chainId(uint256 id) external;
    function prank(address sender) external;
    function startPrank(address sender) external;
    function stopPrank() external;
    function assume(bool condition) external pure;
    function expectRevert() external;
    function expectRevert(bytes4 selector) external;
    function expectRevert(bytes calldata data) external;
    function getNonce(address account) external view returns (uint64);
    function computeCreateAddress(address deployer, uint256 nonce) external pure returns (address);
}

/// @title What every test contract here begins with
abstract contract Test {
    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    error Unequal(string what, uint256 expected, uint256 found);

    /// Contracts whose functions the invariant tests call at random; forge asks for it by name.
    address[] private _targets;

    function targetContracts() external view returns (address[] memory) {
        return _targets;
    }

    function target(address contract_) internal {
        _targets.push(contract_);
    }

    function assertEqual(string memory what, uint256 expected, uint256 found) internal pure {
        if (expected != found) revert Unequal(what, expected, found);
    }

    function assertTrue(string memory what, bool holds) internal pure {
        if (!holds) revert Unequal(what, 1, 0);
    }

    /// `value` brought into [low, high].
    function bounded(uint256 value, uint256 low, uint256 high) internal pure returns (uint256) {
        if (value >= low && value <= high) return value;
        return low + (value % (high - low + 1));
    }
}
