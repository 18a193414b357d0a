// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {TimelockController} from "@openzeppelin/contracts/governance/TimelockController.sol";

/// @title Waits between a vote and its being carried out
/// @notice Only the governor can put something on its list or take it off; anyone carries out what
/// is due. It is its own admin, so that only a vote changes this.
contract Timelock is TimelockController {
    constructor(uint256 delay, address governor)
        TimelockController(delay, _only(governor), _only(address(0)), address(0))
    {}

    function _only(address account) private pure returns (address[] memory list) {
        list = new address[](1);
        list[0] = account;
    }
}
